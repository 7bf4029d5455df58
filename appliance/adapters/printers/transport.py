"""What a line to a printer must do. The conversation on it is `conversation`."""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """Carries bytes to one printer and back. Every call ends within `within_s` seconds, whatever the device does.

    Failures are PrinterUnreachableError with their cause. After one, only `close` may be called.
    """

    async def open(self, within_s: float) -> None:
        """Find the device anew and take it: it may have been unplugged or switched off since the last time."""

    async def write(self, data: bytes, within_s: float) -> None:
        """All of `data`, or an error; after an error any part of it may have left."""

    async def read(self, within_s: float) -> bytes:
        """What has come, as soon as anything has; b"" if nothing came in time."""

    async def close(self) -> None:
        """Never fails; closing twice is fine."""
