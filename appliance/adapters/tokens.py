"""Tokens of senders over HTTP: 256 random bits, of which the box keeps only the SHA-256, as sha256sum writes it.

So whoever reads the box's disk or its backup cannot send with what is there. No salt and no slow hash: nobody guesses
256 bits.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path

from appliance.adapters import system
from appliance.errors import SettingsError

TOKEN_BYTES = 32
_SHA256 = re.compile(rb"([0-9a-f]{64})\s")


def place(folder: Path, name: str, token_file: str) -> Path:
    """Where the token of that client is kept: what the settings name, a systemd credential, or beside the spool."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if token_file:
        return Path(token_file)
    if credentials and (credential := Path(credentials) / f"dicomweb.{name}").exists():
        return credential
    return folder / f"dicomweb.{name}"


def make(path: Path) -> str:
    """A new token in place of the one that was; nobody can be told it again."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    system.write_secret(path, f"{hashlib.sha256(token.encode()).hexdigest()}  -\n".encode())
    return token


def read_sha256(path: Path, name: str) -> bytes:
    """SettingsError when there is none."""
    hint = f"Make one: slipway peers token {name}; then restart the service."
    try:
        found = _SHA256.match(path.read_bytes())
    except OSError as error:
        if isinstance(error, PermissionError):
            hint = f"Let the service read it: chown root:slipway {path}; chmod 640 {path}; then restart it."
        raise SettingsError(f"the token of {name}, {path}, cannot be read: {error.strerror}", hint=hint) from error
    if found is None:
        raise SettingsError(f"the token of {name}, {path}, holds no SHA-256", hint=hint)
    return bytes.fromhex(found[1].decode())
