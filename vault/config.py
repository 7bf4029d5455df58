"""vault.toml into frozen settings, read once.

A key that is not known is an error that names the nearest one that is.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import pydantic

from vault.errors import SettingsError

DEFAULT_FILE = Path("/etc/slipway/vault.toml")


_PUBLIC_URL = re.compile(r"https?://[A-Za-z0-9.:/_~%\[\]-]+")


class Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True)


def _network(text: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(str(text), strict=False)


Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, pydantic.BeforeValidator(_network)]


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class Http(Section):
    listen: str = "127.0.0.1:8080"  # HOST:PORT, [IPv6]:PORT; port 0 picks one
    public_url: str = ""  # what the slips say; empty: the address under which a box knows the vault
    viewer: str = ""  # the built page's folder
    trusted_proxies: Annotated[tuple[Network, ...], pydantic.BeforeValidator(_tuple)] = ()
    requests_per_minute: Annotated[int, pydantic.Field(ge=1)] = 120  # from one address, on the patients' side

    @pydantic.field_validator("listen")
    @classmethod
    def _check_listen(cls, value: str) -> str:
        split_listen(value)
        return value

    @pydantic.field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str) -> str:
        if value and _PUBLIC_URL.fullmatch(value) is None:
            raise ValueError("must be https://HOST (http:// for a trial), in ASCII, without ? or #")
        return value.rstrip("/")

    @property
    def address(self) -> tuple[str, int]:
        return split_listen(self.listen)


class DatabaseSettings(Section):
    url: str = "sqlite:///var/lib/slipway-vault/ledger.db"

    @pydantic.field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        return _check_folder_url(value, "sqlite", later="postgresql")

    @property
    def path(self) -> Path:
        return Path("/", self.url.removeprefix("sqlite://").lstrip("/"))


class ObjectSettings(Section):
    url: str = "file:///var/lib/slipway-vault/objects"

    @pydantic.field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        return _check_folder_url(value, "file", later="s3")

    @property
    def path(self) -> Path:
        return Path("/", self.url.removeprefix("file://").lstrip("/"))


class DeviceSettings(Section):
    key_file: str = ""  # the vault's Ed25519 key; default: vault.key beside the database


class Settings(Section):
    http: Http = Http()
    database: DatabaseSettings = DatabaseSettings()
    objects: ObjectSettings = ObjectSettings()
    device: DeviceSettings = DeviceSettings()

    @property
    def key_file(self) -> Path:
        return Path(self.device.key_file) if self.device.key_file else self.database.path.with_name("vault.key")


def split_listen(text: str) -> tuple[str, int]:
    """Raises ValueError with a sentence."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be HOST:PORT, for instance 127.0.0.1:8080")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _check_folder_url(value: str, scheme: str, *, later: str) -> str:
    if value.startswith(f"{later}://"):
        raise ValueError(f"{later}:// is not in this version yet; use {scheme}:///PATH")
    if not value.startswith(f"{scheme}:///") or len(value) <= len(f"{scheme}:///"):
        raise ValueError(f"must be {scheme}:///PATH, with an absolute path")
    return value


def load(path: Path) -> Settings:
    """Raises SettingsError that names the file, the key and what to write instead."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(
            f"There is no settings file {path}.", hint="Write one, or name another: --config FILE."
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.") from error
    _refuse_unknown(raw, Settings, path, "")
    try:
        return Settings.model_validate(raw)
    except pydantic.ValidationError as error:
        found = error.errors()[0]
        key = ".".join(str(part) for part in found["loc"])
        raise SettingsError(f"{path}: {key}: {found['msg'].removeprefix('Value error, ')}.") from None


def _refuse_unknown(raw: Mapping[str, Any], model: type[pydantic.BaseModel], path: Path, prefix: str) -> None:
    known = model.model_fields
    for key, value in raw.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0)
            raise SettingsError(f"{path}: unknown key {prefix}{key}.", hint=f"Did you mean {prefix}{near[0]}?")
        inner = known[key].annotation
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, Section):
            _refuse_unknown(cast("dict[str, Any]", value), inner, path, f"{prefix}{key}.")
