"""Every wrong setting gives one line that names it."""

from pathlib import Path

import pytest

from portal import config as configuration
from portal.config import Config, ConfigError

KEY = "a2V5" * 8


def read(**settings: str) -> Config:
    return Config.from_environment({f"PORTAL_{name}": value for name, value in settings.items()})


def test_without_any_setting_there_is_a_portal_on_this_machine() -> None:
    config = Config.from_environment({})
    assert config.is_sqlite
    assert config.data_dir == Path("data").absolute()
    assert config.database_url == f"sqlite:///{config.data_dir}/gatepost.sqlite3"
    assert config.base_url == "http://127.0.0.1:8000"
    assert (config.base_host, config.is_https) == ("127.0.0.1", False)
    assert config.secret_key is None
    assert config.encryption_keys == config.trusted_proxies == config.allowed_hosts == ()
    assert config.log_format == "text"


def test_every_setting_is_read() -> None:
    config = read(
        DATABASE_URL="postgres://gate:post@db.acme.test:5432/gatepost?sslmode=require",
        DATA_DIR="/var/lib/gatepost",
        BASE_URL="https://mail.acme.test/",
        SECRET_KEY="s" * 32,
        ENCRYPTION_KEYS=f"k2:{KEY}, k1:{KEY}",
        TRUSTED_PROXIES="10.0.0.0/8, ::1",
        ALLOWED_HOSTS="a.test,b.test",
        METRICS_TOKEN="token",
        LOG_FORMAT="json",
    )
    assert config.database_url == (
        "postgresql+psycopg://gate:post@db.acme.test:5432/gatepost?sslmode=require"
    )
    assert config.data_dir == Path("/var/lib/gatepost")
    assert (config.base_url, config.base_host) == ("https://mail.acme.test", "mail.acme.test")
    assert config.is_https
    assert config.encryption_keys == (("k2", KEY), ("k1", KEY))
    assert config.trusted_proxies == ("10.0.0.0/8", "::1")
    assert config.allowed_hosts == ("a.test", "b.test")
    assert (config.metrics_token, config.log_format) == ("token", "json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://host/db"),
        ("DATABASE_URL", "gatepost.sqlite3"),
        ("DATABASE_URL", "sqlite://relative.sqlite3"),
        ("DATABASE_URL", "postgresql://"),
        ("DATABASE_URL", "postgresql://host"),
        ("DATABASE_URL", "postgresql://host:port/db"),
        ("BASE_URL", "mail.acme.test"),
        ("BASE_URL", "ftp://mail.acme.test"),
        ("BASE_URL", "https://"),
        ("BASE_URL", "https://mail.acme.test/portal"),
        ("BASE_URL", "https://mail.acme.test/?a=b"),
        ("BASE_URL", "https://mail.acme.test#top"),
        ("BASE_URL", "https://mail.acme.test:port"),
        ("BASE_URL", "https://mail.acme.test:99999"),
        ("BASE_URL", "https://[::1"),
        ("BASE_URL", "https://ann:secret@mail.acme.test"),
        ("BASE_URL", "https://mail.acme.test\nevil.test"),
        ("BASE_URL", "https://mail acme.test"),
        ("SECRET_KEY", "short"),
        ("ENCRYPTION_KEYS", KEY),
        ("ENCRYPTION_KEYS", f":{KEY}"),
        ("ENCRYPTION_KEYS", "k1:"),
        ("TRUSTED_PROXIES", "everybody"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, 10.0.0"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_the_setting(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(**{name: value})
    message = str(refused.value)
    assert message.startswith(f"PORTAL_{name}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "canary"),
        ("ENCRYPTION_KEYS", "canary"),
        ("DATABASE_URL", "mysql://gate:canary@host/db"),
        ("DATABASE_URL", "postgresql://gate:canary@host:port/db"),
    ],
)
def test_a_refusal_repeats_no_secret(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(**{name: value})
    assert "canary" not in str(refused.value)


def test_a_setting_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError) as refused:
        read(DATABSE_URL="postgresql://h/db")
    assert str(refused.value).startswith("PORTAL_DATABSE_URL is not a setting. Known: ")
    assert "PORTAL_DATABASE_URL" in str(refused.value)


def test_empty_values_count_as_unset() -> None:
    config = read(DATABASE_URL="", BASE_URL=" ", SECRET_KEY="", METRICS_TOKEN="", LOG_FORMAT="")
    assert config.is_sqlite
    assert (config.secret_key, config.metrics_token) == (None, None)


def test_variables_of_others_are_left_alone() -> None:
    assert Config.from_environment({"DATABASE_URL": "mysql://x", "PORTALS": "1"}).is_sqlite


def test_secrets_are_not_shown_when_a_config_is_printed() -> None:
    config = read(SECRET_KEY="canary" * 6, ENCRYPTION_KEYS="k1:canary", METRICS_TOKEN="canary")
    assert "canary" not in repr(config)


def test_a_file_holds_the_same_settings_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "gatepost.toml"
    file.write_text(
        'base_url = "https://file.test"\nlog_format = "json"\n'
        'trusted_proxies = ["10.0.0.0/8", "::1"]\n'
    )
    config = read(CONFIG=str(file), BASE_URL="https://environment.test")
    assert config.base_url == "https://environment.test"
    assert config.log_format == "json"
    assert config.trusted_proxies == ("10.0.0.0/8", "::1")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"base_url = https://x.test", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (b'base_ulr = "https://x.test"', "base_ulr is not a setting"),
        (b'[database]\nurl = "x"', "database is not a setting"),
        (b'log_format = "xml"', "PORTAL_LOG_FORMAT is 'xml'"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "gatepost.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        read(CONFIG=str(file))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(ConfigError) as refused:
            read(CONFIG=str(path))
        assert str(refused.value).startswith(f"PORTAL_CONFIG: {path} cannot be read")


def test_a_child_gets_our_settings_and_alone_none_of_the_operators(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORTAL_LOG_FORMAT", "json")
    monkeypatch.setenv("UNRELATED", "kept")
    beside = configuration.child_environment({"data_dir": "/tmp/x"})
    alone = configuration.child_environment({"data_dir": "/tmp/x"}, alone=True)
    assert beside["PORTAL_DATA_DIR"] == alone["PORTAL_DATA_DIR"] == "/tmp/x"
    assert beside["PORTAL_LOG_FORMAT"] == "json"
    assert "PORTAL_LOG_FORMAT" not in alone
    assert alone["UNRELATED"] == "kept"
