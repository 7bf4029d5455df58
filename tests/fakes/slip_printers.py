"""Printers at the port `Printer`, one behaviour a class. The machines behind the transports are in `printers`."""

from __future__ import annotations

import asyncio
import contextlib
import io

from PIL import Image

from appliance.daemon.paper import STAFF_SLIP
from appliance.ports import Paper, PrinterStatus, PrintJob, PrintOutcome
from tests import escpos_reader

ABOUT_THE_BOX = ("STATUS", "SETUP", "TEST", "NOTICE")
READY = PrinterStatus(reachable=True, paper=Paper.OK, cover_open=False, error=False)


class GoodPrinter:
    """Prints and confirms."""

    def __init__(self) -> None:
        self.jobs: list[PrintJob] = []  # all that came out, or may have
        self.asked = 0

    @property
    def links(self) -> list[str]:
        """What a phone reads off the patients' papers, in order."""
        slips = [job for job in self.jobs if job.number not in ABOUT_THE_BOX and job not in self.staff_slips]
        return [escpos_reader.decode_qr(Image.open(io.BytesIO(job.picture))) for job in slips]

    @property
    def staff_slips(self) -> list[PrintJob]:
        return [job for job in self.jobs if job.number.endswith(STAFF_SLIP)]

    async def status(self) -> PrinterStatus:
        self.asked += 1
        return READY

    async def print(self, job: PrintJob) -> PrintOutcome:
        self.jobs.append(job)
        return PrintOutcome.PRINTED


class AnsweringPrinter(GoodPrinter):
    """Gives these outcomes, one a job."""

    def __init__(self, outcomes: list[PrintOutcome]) -> None:
        super().__init__()
        self._outcomes = outcomes

    async def print(self, job: PrintJob) -> PrintOutcome:
        await super().print(job)
        return self._outcomes[len(self.jobs) - 1]


class SilentOncePrinter(GoodPrinter):
    """Nobody knows what became of the first slip (or the first few)."""

    def __init__(self, times: int = 1) -> None:
        super().__init__()
        self._times = times

    async def print(self, job: PrintJob) -> PrintOutcome:
        await super().print(job)
        return PrintOutcome.UNKNOWN if len(self.jobs) <= self._times else PrintOutcome.PRINTED


class PaperOutPrinter(GoodPrinter):
    """Says that it has no paper, until `load_paper`."""

    def __init__(self) -> None:
        super().__init__()
        self._out = True

    def load_paper(self) -> None:
        self._out = False

    async def status(self) -> PrinterStatus:
        self.asked += 1
        return (
            PrinterStatus(reachable=True, paper=Paper.OUT, detail="The printer is out of paper.")
            if self._out
            else READY
        )


class RefusingOncePrinter(GoodPrinter):
    """Says that it is ready, and takes not one byte of the first slip."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0

    async def print(self, job: PrintJob) -> PrintOutcome:
        if self.refused == 0:
            self.refused = 1
            return PrintOutcome.REFUSED
        return await super().print(job)


class JealousPrinter(GoodPrinter):
    """Takes its time over each job, and notices when another is given to it meanwhile."""

    def __init__(self, within_s: float = 0.5) -> None:
        super().__init__()
        self._within_s = within_s
        self._at_work = 0
        self._interleaved = asyncio.Event()

    @property
    def interleaved(self) -> bool:
        return self._interleaved.is_set()

    async def print(self, job: PrintJob) -> PrintOutcome:
        self._at_work += 1
        if self._at_work > 1:
            self._interleaved.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._interleaved.wait(), self._within_s)
        self._at_work -= 1
        return await super().print(job)


class SlowPrinter(GoodPrinter):
    """Is at it until `finish`."""

    def __init__(self) -> None:
        super().__init__()
        self.started = asyncio.Event()
        self._finished = asyncio.Event()

    def finish(self) -> None:
        self._finished.set()

    async def print(self, job: PrintJob) -> PrintOutcome:
        self.started.set()
        await self._finished.wait()
        return await super().print(job)


class TroubledPrinter(GoodPrinter):
    """Prints nothing until its trouble is taken away."""

    def __init__(self, trouble: PrinterStatus) -> None:
        super().__init__()
        self.trouble: PrinterStatus | None = trouble

    async def status(self) -> PrinterStatus:
        return self.trouble or await super().status()
