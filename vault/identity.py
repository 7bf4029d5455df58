"""The vault's Ed25519 key: signs every answer to a box, and keys the patients' tokens. Made at the first start."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault import wire
from vault.errors import BadRequestError, SettingsError

CREDENTIAL = "vault.key"


def load_identity(key_file: Path) -> Ed25519PrivateKey:
    """From the systemd credential `vault.key` if there is one, else from `key_file`, made when missing.

    Raises SettingsError for a key that is malformed, or readable by others.
    """
    credential = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / CREDENTIAL
    if credential.is_file():
        return _parse(credential)
    if not key_file.exists():
        try:
            _make(key_file)
        except OSError as error:
            raise SettingsError(f"Cannot make the key file {key_file}: {error.strerror}.") from error
    if key_file.stat().st_mode & 0o077:
        raise SettingsError("The vault's key file is readable by others.", hint=f"chmod 600 {key_file}")
    return _parse(key_file)


def token_key(identity: Ed25519PrivateKey) -> bytes:
    return wire.hkdf(identity.private_bytes_raw(), b"slipway/1 vault token")


def _parse(path: Path) -> Ed25519PrivateKey:
    try:
        return Ed25519PrivateKey.from_private_bytes(wire.unb64u(path.read_text("ascii").strip(), wire.KEY_BYTES))
    except (BadRequestError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} does not hold a vault key.", hint="Restore it from the backup: boxes trust no other key."
        ) from error


def _make(path: Path) -> None:
    """All or nothing: half a key after a power cut would lock out every box."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    incoming = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(wire.b64u(Ed25519PrivateKey.generate().private_bytes_raw()) + "\n")
        file.flush()
        os.fsync(descriptor)
    with contextlib.suppress(FileExistsError):  # another process was faster; its key counts
        os.link(incoming, path)
    incoming.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
