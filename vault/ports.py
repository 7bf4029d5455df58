"""One Protocol for every outside thing the vault needs, and the values that cross it. At most seven methods each.

The ledger is four ports, because a PostgreSQL adapter will implement them one by one. Every method of it is one
transaction that is on the disk when the call returns; each may raise UnavailableError. Ids are raw bytes, times Unix
seconds by the vault's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vault.core import Link


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds; decides what has expired."""

    def monotonic(self) -> float:
        """Seconds that never go back; for deadlines and rates."""

    async def sleep(self, seconds: float) -> None: ...


# Objects


@dataclass(frozen=True)
class ObjectName:
    """Where ciphertext lies. The digest is part of the name, so two writers can never fight for one name."""

    share_id: bytes
    kind: str  # "object" or "manifest"
    number: int  # of the object, or the manifest's generation
    digest: bytes  # SHA-256 of the content


class Upload(Protocol):
    """Bytes on their way in; invisible to all until `keep`."""

    async def write(self, chunk: bytes) -> None: ...

    async def keep(self, name: ObjectName) -> None:
        """On the disk under that name when it returns; keeping what is there already is no error."""

    async def discard(self) -> None:
        """Nothing remains of it; after `keep`, does nothing."""


class Reading(Protocol):
    async def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""

    async def close(self) -> None: ...


class Objects(Protocol):
    async def begin(self) -> Upload: ...

    async def open(self, name: ObjectName, start: int) -> Reading:
        """At byte `start`. Raises ObjectUnknownError."""

    async def delete(self, name: ObjectName) -> None: ...

    async def delete_share(self, share_id: bytes) -> None: ...

    async def check(self) -> None:
        """Raises UnavailableError where nothing could be stored."""


# Ledger


@dataclass(frozen=True)
class Device:
    device_id: bytes
    name: str
    public_key: bytes  # Ed25519
    enrolled_at: int
    last_seen_at: int | None
    revoked_at: int | None


class Devices(Protocol):
    async def add_code(self, code_id: str, code_key: bytes, name: str, now: float) -> bool:
        """False where the id is taken by a code that is still good."""

    async def enrol(self, code_id: str, public_key: bytes, mac: bytes, device_id: bytes, now: float) -> bytes:
        """Spends the code and returns its key. Raises CodeWrongError; five wrong macs spend it too."""

    async def device(self, device_id: bytes) -> Device | None: ...

    async def devices(self) -> Sequence[Device]: ...

    async def revoke_device(self, device_id: bytes, now: float) -> bool:
        """False where there is none."""

    async def admit(self, device_id: bytes, nonce: bytes, forget_at: float, now: float) -> bool:
        """False for a nonce that is remembered; else remembers it, and that the device was seen."""


@dataclass(frozen=True)
class Stored:
    """An object or a manifest that the ledger knows."""

    name: ObjectName
    size: int


@dataclass(frozen=True)
class Kept:
    """What putting ciphertext into the ledger came to."""

    new: bool
    unwanted: ObjectName | None = None  # what may now be deleted from the objects


@dataclass(frozen=True)
class ShareFacts:
    deleted: bool
    objects: list[list[int]]  # inclusive ranges
    generation: int  # 0 before the first manifest
    links: Sequence[Link]


class Shares(Protocol):
    """Raises ShareUnknownError for another device's share too, ShareDeletedError, AlreadyDifferentError."""

    async def make_share(self, device_id: bytes, share_id: bytes, now: float) -> bool:
        """True when it is new."""

    async def facts(self, device_id: bytes, share_id: bytes) -> ShareFacts: ...

    async def check_writable(self, device_id: bytes, share_id: bytes) -> None: ...

    async def delete_share(self, device_id: bytes, share_id: bytes, now: float) -> None: ...

    async def keep(self, device_id: bytes, stored: Stored, now: float) -> Kept:
        """Names uploaded ciphertext. An older manifest than the stored one is not kept: it comes back as unwanted."""

    async def object(self, share_id: bytes, number: int) -> Stored | None: ...

    async def manifest(self, share_id: bytes) -> Stored | None: ...


@dataclass(frozen=True)
class NewLink:
    link_id: bytes
    share_id: bytes
    verifier: bytes
    factor: str
    share_key: bytes
    envelope: bytes
    expires_in_s: int
    grace_s: int


@dataclass(frozen=True)
class Opened:
    link: Link
    share_key: bytes
    envelope: bytes


class Links(Protocol):
    """Raises the refusals of core.LINK."""

    async def make_link(self, device_id: bytes, link: NewLink, now: float) -> tuple[Link, bool]:
        """The link as stored, and whether it is new."""

    async def renew_link(
        self, device_id: bytes, share_id: bytes, link_id: bytes, expires_in_s: int, now: float
    ) -> Link: ...

    async def destroy_link(self, device_id: bytes, share_id: bytes, link_id: bytes, now: float) -> None:
        """S and the envelope are gone from the files of the ledger, its write-ahead log too, when it returns."""

    async def link(self, link_id: bytes) -> Link | None: ...

    async def open_link(self, link_id: bytes, is_right: Callable[[bytes], bool], now: float) -> Opened:
        """Counts a try, then asks `is_right(verifier)`, then gives the try back if it was. Raises WrongFactorError."""


@dataclass(frozen=True)
class Swept:
    links_destroyed: int = 0
    shares_deleted: int = 0


class Upkeep(Protocol):
    async def expire(self, now: float) -> Swept:
        """Destroys links past their grace, deletes shares nobody can open, forgets old nonces and codes."""

    async def unpurged(self) -> Sequence[bytes]:
        """Deleted shares whose objects may still lie in the store."""

    async def purged(self, share_id: bytes) -> None: ...

    async def migrate(self) -> int:
        """Brings the schema up to date; its version."""

    async def check(self) -> None: ...

    async def close(self) -> None: ...


class Ledger(Devices, Shares, Links, Upkeep, Protocol):
    """All four; what one adapter implements. Nobody but the composition asks for this."""
