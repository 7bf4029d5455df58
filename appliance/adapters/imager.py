"""The port `Imager`: a code reader over the printer's mouth. It is a scanner like others, and stays open between slips.

What it must read is not known here; that is compared in `printers/read_back.py`.
"""

from __future__ import annotations

import asyncio
import contextlib

from appliance.errors import PrinterUnreachableError, ScannerUnreachableError
from appliance.ports import Scanner

OPEN_S = 3.0
MOST_CODES = 16  # held; a reader that babbles must not fill the memory
HINT = "Check the imager's cable and [printer] imager; without that setting slips are printed without being read back."


class ScanningImager:
    def __init__(self, scanner: Scanner, open_s: float = OPEN_S) -> None:
        self._scanner = scanner
        self._open_s = open_s
        self._codes: asyncio.Queue[str] = asyncio.Queue(MOST_CODES)
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._reading is None or self._reading.done():
            await self._open()
        while not self._codes.empty():
            self._codes.get_nowait()

    async def read(self, within_s: float) -> str | None:
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self._codes.get(), within_s)
        return None

    async def close(self) -> None:
        reading, self._reading = self._reading, None
        if reading:
            reading.cancel()
            await asyncio.wait([reading])

    async def _open(self) -> None:
        await self.close()
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._collect(opened))
        await asyncio.wait([opened, self._reading], timeout=self._open_s, return_when=asyncio.FIRST_COMPLETED)
        if opened.done():
            return
        error = self._reading.exception() if self._reading.done() else None
        await self.close()
        raise PrinterUnreachableError(f"the imager cannot be used: {error or 'it does not open'}", hint=HINT) from error

    async def _collect(self, opened: asyncio.Future[None]) -> None:
        """Ends when the imager is gone; who reads next is then told nothing, and who starts next opens it anew."""
        try:
            async for code in self._scanner.codes():
                if not opened.done():
                    opened.set_result(None)
                elif code:
                    if self._codes.full():
                        self._codes.get_nowait()
                    self._codes.put_nowait(code)
        except ScannerUnreachableError:
            if not opened.done():
                raise
