from __future__ import annotations

from pathlib import Path

import pytest

from vault import config
from vault.errors import SettingsError

CONTRACT = """
[http]
listen = "127.0.0.1:8080"
public_url = "https://vault.example.org"

[database]
url = "sqlite:///var/lib/slipway-vault/ledger.db"

[objects]
url = "file:///var/lib/slipway-vault/objects"
"""


def load(tmp_path: Path, text: str) -> config.Settings:
    path = tmp_path / "vault.toml"
    path.write_text(text)
    return config.load(path)


def test_the_documented_settings_are_read(tmp_path: Path) -> None:
    settings = load(tmp_path, CONTRACT)
    assert settings.http.address == ("127.0.0.1", 8080)
    assert settings.database.path == Path("/var/lib/slipway-vault/ledger.db")
    assert settings.objects.path == Path("/var/lib/slipway-vault/objects")
    assert settings.key_file == Path("/var/lib/slipway-vault/vault.key")


def test_a_fourth_slash_is_the_same_path(tmp_path: Path) -> None:
    settings = load(tmp_path, '[database]\nurl = "sqlite:////var/ledger.db"\n[objects]\nurl = "file:////var/objects"')
    assert (str(settings.database.path), str(settings.objects.path)) == ("/var/ledger.db", "/var/objects")


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "").http.listen == "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("text", "names", "near"),
    [
        ('[http]\nlisen = "x"', "http.lisen", "http.listen"),
        ('[databse]\nurl = "x"', "databse", "database"),
        ('[device]\nkeyfile = "x"', "device.keyfile", "device.key_file"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path: Path, text: str, names: str, near: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert f"unknown key {names}." in caught.value.summary
    assert near in caught.value.hint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[http]\nlisten = 8080", "http.listen"),
        ('[http]\nlisten = "8080"', "HOST:PORT"),
        ('[http]\nlisten = "a:99999"', "HOST:PORT"),
        ('[http]\npublic_url = "vault.example.org"', "https://"),
        ('[http]\npublic_url = "https://vault.example.org/#"', "without ? or #"),
        ('[http]\npublic_url = "https://väult.example.org"', "ASCII"),
        ('[http]\ntrusted_proxies = ["nonsense"]', "http.trusted_proxies"),
        ("[http]\nrequests_per_minute = 0", "http.requests_per_minute"),
        ('[database]\nurl = "postgresql://user@host/db"', "not in this version"),
        ('[database]\nurl = "sqlite://relative.db"', "absolute path"),
        ('[objects]\nurl = "s3://bucket"', "not in this version"),
        ('http = "x"', "http"),
        ("[http", "cannot be read"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=r"vault\.toml") as caught:
        load(tmp_path, text)
    assert says in caught.value.summary
    assert caught.value.exit_status == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="There is no settings file"):
        config.load(tmp_path / "none.toml")


def test_a_slash_at_the_end_of_the_public_url_makes_no_difference(tmp_path: Path) -> None:
    settings = load(tmp_path, '[http]\npublic_url = "https://vault.example.org/"')
    assert settings.http.public_url == "https://vault.example.org"


def test_ipv6_and_proxies_are_read(tmp_path: Path) -> None:
    http = load(tmp_path, '[http]\nlisten = "[::1]:0"\ntrusted_proxies = ["10.0.0.1", "fd00::/8"]').http
    assert http.address == ("::1", 0)
    assert [str(network) for network in http.trusted_proxies] == ["10.0.0.1/32", "fd00::/8"]
