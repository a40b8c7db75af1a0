"""Configuration, read once. The only reader of os.environ.

Values come from the environment, or from a TOML file named by PORTAL_CONFIG whose keys are the
same names without `PORTAL_`, in lower case. The environment wins over the file.
"""

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import environ as _environ
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

_NAMES = (
    "database_url",
    "data_dir",
    "base_url",
    "secret_key",
    "encryption_keys",
    "trusted_proxies",
    "allowed_hosts",
    "metrics_token",
    "log_format",
)
# Handed from `portal demo` to its processes.
_OF_THE_DEMO = ("mail_catcher", "mail_catcher_at")


class ConfigError(Exception):
    """A setting that cannot be used. The message is one line that names it and the cure."""


@dataclass(frozen=True)
class Config:
    """Everything that an operator can set.

    `encryption_keys` maps key id to 32 bytes, first one encrypts; empty: they lie in the data
    folder. `trusted_proxies` are networks whose X-Forwarded-* headers count. `allowed_hosts` are
    Host headers that are answered beside the one of `base_url`; "*" answers all. `mail_catcher`:
    the demo keeps mail itself, at the host:port of `mail_catcher_at`.
    """

    database_url: str
    data_dir: Path
    base_url: str = "http://127.0.0.1:8000"
    secret_key: str | None = field(default=None, repr=False)
    encryption_keys: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    trusted_proxies: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    metrics_token: str | None = field(default=None, repr=False)
    log_format: str = "text"
    mail_catcher: bool = False
    mail_catcher_at: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Config":
        """Read the settings. Raises ConfigError with one line on the first wrong value."""
        values = _gather(_environ if environ is None else environ)
        data_dir = Path(values.get("data_dir") or "./data").absolute()
        return cls(
            database_url=_database_url(values.get("database_url"), data_dir),
            data_dir=data_dir,
            base_url=_base_url(values.get("base_url")),
            secret_key=_secret_key(values.get("secret_key")),
            encryption_keys=_encryption_keys(values.get("encryption_keys")),
            trusted_proxies=_networks(values.get("trusted_proxies")),
            allowed_hosts=_listed(values.get("allowed_hosts")),
            metrics_token=values.get("metrics_token") or None,
            log_format=_log_format(values.get("log_format")),
            mail_catcher=values.get("mail_catcher") == "1",
            mail_catcher_at=values.get("mail_catcher_at") or None,
        )

    @property
    def caught_mail_dir(self) -> Path:
        """Where the built-in mail catcher keeps what it takes."""
        return self.data_dir / "mail-catcher"

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def base_host(self) -> str:
        """The host of the base URL: names our Message-IDs where no From address does."""
        return urlsplit(self.base_url).hostname or "localhost"

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")


def variable(name: str) -> str | None:
    """The value of an environment variable that a settings file names, None where it is unset."""
    return _environ.get(name)


def child_environment(settings: Mapping[str, str], *, alone: bool = False) -> dict[str, str]:
    """The environment for a process of ours, with these settings on top.

    `alone`: none of the operator's own settings is handed on.
    """
    kept = {
        name: value
        for name, value in _environ.items()
        if not (alone and name.startswith("PORTAL_"))
    }
    return kept | {f"PORTAL_{name.upper()}": value for name, value in settings.items()}


def _gather(environ: Mapping[str, str]) -> dict[str, str]:
    values: dict[str, str] = {}
    if path := environ.get("PORTAL_CONFIG"):
        values.update(_from_file(Path(path)))
    for key, value in environ.items():
        if key.startswith("PORTAL_") and key != "PORTAL_CONFIG":
            name = key.removeprefix("PORTAL_").lower()
            if name not in _NAMES and name not in _OF_THE_DEMO:
                raise ConfigError(f"{key} is not a setting. Known: {_known()}.")
            values[name] = value.strip()
    return values


def _from_file(path: Path) -> dict[str, str]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ConfigError(
            f"PORTAL_CONFIG: {path} cannot be read ({problem.strerror}). Check path and rights."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigError(f"PORTAL_CONFIG: {path} is not TOML: {problem}.") from None
    values = {}
    for name, value in content.items():
        if name not in _NAMES:
            raise ConfigError(f"{path}: {name} is not a setting. Known: {', '.join(_NAMES)}.")
        values[name] = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return values


def _known() -> str:
    return ", ".join(f"PORTAL_{name.upper()}" for name in _NAMES)


def _database_url(value: str | None, data_dir: Path) -> str:
    if not value:
        return f"sqlite:///{data_dir / 'gatepost.sqlite3'}"
    scheme, _, rest = value.partition("://")
    if scheme in ("postgres", "postgresql", "postgresql+psycopg") and _is_url(f"x://{rest}"):
        return f"postgresql+psycopg://{rest}"
    if scheme == "sqlite" and rest.startswith("/"):
        return value
    raise ConfigError(
        "PORTAL_DATABASE_URL must look like postgresql://user:password@host/database "
        "or sqlite:////folder/file.sqlite3."
    )


def _is_url(value: str) -> bool:
    try:
        return bool(make_url(value).database)
    except (ArgumentError, ValueError):
        return False


def _base_url(value: str | None) -> str:
    if not value:
        return "http://127.0.0.1:8000"
    try:
        parts = urlsplit(value)
        _ = parts.port
        sound = parts.scheme in ("http", "https") and bool(parts.hostname)
        sound = sound and parts.username is None and not re.search(r"[\s\x00-\x1f]", value)
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise ConfigError(
            f"PORTAL_BASE_URL is {value!r}; write the address people type, for example "
            "https://mail.example.com, without a path."
        )
    return value.rstrip("/")


def _secret_key(value: str | None) -> str | None:
    if value and len(value) < 32:
        raise ConfigError("PORTAL_SECRET_KEY is too short; give at least 32 characters.")
    return value or None


def _encryption_keys(value: str | None) -> tuple[tuple[str, str], ...]:
    pairs = []
    for item in _listed(value):
        key_id, colon, encoded = item.partition(":")
        if not colon or not key_id or not encoded:
            raise ConfigError("PORTAL_ENCRYPTION_KEYS must look like id:base64,id:base64.")
        pairs.append((key_id, encoded))
    return tuple(pairs)


def _networks(value: str | None) -> tuple[str, ...]:
    networks = _listed(value)
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            raise ConfigError(
                f"PORTAL_TRUSTED_PROXIES: {network!r} is not an address or network; "
                "write for example 10.0.0.0/8."
            ) from None
    return networks


def _log_format(value: str | None) -> str:
    if value and value not in ("text", "json"):
        raise ConfigError(f"PORTAL_LOG_FORMAT is {value!r}; use text or json.")
    return value or "text"


def _listed(value: str | None) -> tuple[str, ...]:
    return tuple(item.strip() for item in (value or "").split(",") if item.strip())
