"""`file:///DIR`: a printer made of files, for demos and tests.

DIR/SLIP.bin is what would be sent, DIR/SLIP.png what it looks like.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from pathlib import Path

from appliance.errors import FormatError
from appliance.ports import Paper, PrinterStatus, PrintJob, PrintOutcome

log = logging.getLogger(__name__)

WAITING = ".part"  # not a slip yet; the next try of the same number writes over it
NUMBER = re.compile(r"[A-Z0-9-]{1,64}")


class FilePrinter:
    """The port `Printer`. Only files under their own names were printed; the temporary ones do not count."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = asyncio.Lock()

    async def status(self) -> PrinterStatus:
        return await asyncio.to_thread(self._status)

    async def print(self, job: PrintJob) -> PrintOutcome:
        """Raises FormatError for a number that is not a file's name."""
        if not NUMBER.fullmatch(job.number):
            raise FormatError("a slip's number is made of A-Z, 0-9 and -")
        async with self._turn:
            return await asyncio.to_thread(self._print, job)

    def _status(self) -> PrinterStatus:
        if not self._folder.is_dir() or not os.access(self._folder, os.W_OK | os.X_OK):
            return PrinterStatus(
                reachable=False, detail=f"There is no folder {self._folder} that the box may write to."
            )
        return PrinterStatus(
            reachable=True, paper=Paper.OK, cover_open=False, error=False, detail="Slips become files."
        )

    def _print(self, job: PrintJob) -> PrintOutcome:
        shown = False
        try:
            waiting = [self._write(f"{job.number}.bin", job.data), self._write(f"{job.number}.png", job.picture)]
            for path in waiting:
                path.replace(self._folder / path.stem)
                shown = True
            self._sync_folder()
        except OSError as error:
            log.warning("slip %s: %s", job.number, error)
            return PrintOutcome.UNKNOWN if shown else PrintOutcome.REFUSED
        return PrintOutcome.PRINTED

    def _write(self, name: str, content: bytes) -> Path:
        path = self._folder / f"{name}{WAITING}"
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return path

    def _sync_folder(self) -> None:
        # Without this the names can vanish in a power cut although the bytes are safe.
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
