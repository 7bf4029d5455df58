"""Code readers at the port `Imager`, one behaviour a class, and at the port `Scanner` for the adapter over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from appliance.errors import ScannerUnreachableError


class TellingImager:
    """Tells these codes, one a time; each as late as it says."""

    def __init__(self, *codes: str, late_s: float = 0.0) -> None:
        self.codes = list(codes)
        self._late_s = late_s
        self.started = 0

    async def start(self) -> None:
        self.started += 1

    async def read(self, within_s: float) -> str | None:
        if not self.codes or self._late_s > within_s:
            await asyncio.sleep(within_s)
            return None
        await asyncio.sleep(self._late_s)
        return self.codes.pop(0)

    async def close(self) -> None: ...


class SeeingImager(TellingImager):
    """Reads what `look` sees, once."""

    def __init__(self, look: Callable[[], Awaitable[str | None]]) -> None:
        super().__init__()
        self._look = look

    async def read(self, within_s: float) -> str | None:
        try:
            return await asyncio.wait_for(self._look(), within_s)
        except TimeoutError:
            return None


class BabblingImager(TellingImager):
    """Something all the time, and never the code."""

    async def read(self, within_s: float) -> str | None:
        await asyncio.sleep(0.01)
        return "]Q1\ufffd babble"


class TellingScanner:
    """The port `Scanner`: what is put into `heard` is what it reads; None unplugs it."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[str | None] = asyncio.Queue()
        self.plugged_in = True

    async def codes(self) -> AsyncIterator[str]:
        if not self.plugged_in:
            raise ScannerUnreachableError("/dev/ttyACM0 cannot be opened")
        yield ""
        while (code := await self.heard.get()) is not None:
            yield code
            self.heard.task_done()
        raise ScannerUnreachableError("/dev/ttyACM0 was unplugged")

    async def told(self) -> None:
        """All that was put in has been taken over, or is so within a turn of the loop."""
        await self.heard.join()


class StuckScanner:
    """Never opens."""

    async def codes(self) -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield ""
