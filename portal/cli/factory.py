"""Making the application for a command: what is wrong with the machine becomes one line."""

import os
import pwd

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
    require_owner(config)
    return create_app(config)


def require_owner(config: Config) -> None:
    """Raises ConfigError where root would make files that the portal's own user cannot open."""
    if os.geteuid() != 0 or not config.data_dir.is_dir():
        return
    owner = config.data_dir.stat().st_uid
    if owner != 0:
        name = _name_of(owner)
        raise ConfigError(
            f"PORTAL_DATA_DIR: {config.data_dir} belongs to {name}, who could not open what root "
            f"makes there. Run the command as that user: runuser -u {name} -- portal ..."
        )


def _name_of(owner: int) -> str:
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return str(owner)
