"""Making the application for a command: what is wrong with the machine becomes one line."""

from flask import Flask

from portal.app import create_app
from portal.config import Config, ConfigError


def make(config: Config | None = None) -> Flask:
    """The application. Raises ConfigError, also where the data folder cannot be used."""
    config = config or Config.from_environment()
    try:
        config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise ConfigError(
            f"PORTAL_DATA_DIR: {config.data_dir} cannot be used ({problem.strerror}). "
            "Name a folder that may be written to."
        ) from None
    return create_app(config)
