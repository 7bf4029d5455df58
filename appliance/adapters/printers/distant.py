"""The daemon's side of the printer's worker: the port `Printer`, over a socket instead of a device.

The worker may be lost at any moment: killed, hanging, told nonsense by the printer. What the daemon then knows is what
it allowed itself: without its "go" not one byte of the slip has left (REFUSED), after it nobody knows (UNKNOWN).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from appliance.adapters.printers.conversation import UNDER_WAY, Timing
from appliance.adapters.printers.messages import LINE_BYTES, Answer, Call, News, Word, encode_call, read_answer
from appliance.errors import FormatError
from appliance.formats.printer_profiles import Profile
from appliance.ports import PrinterStatus, PrintJob, PrintOutcome

log = logging.getLogger(__name__)

PROGRAM = "appliance.adapters.printers.worker"
FOREIGN = ("NOTIFY_", "WATCHDOG_", "LISTEN_", "CREDENTIALS_")  # systemd's words to the daemon, not to its child
SLACK_S = 2.0  # the worker is ended by its own deadline first, and then says so by hanging up
END_S = 5.0
SLOWEST_BYTES_S = 900  # 9,600 baud


@dataclass(frozen=True)
class Patience:
    """After so long a call is given up, seconds. The conversation's own time-outs (Timing) end well before."""

    status_s: float = 30.0
    print_s: float = 90.0  # without the time that a slow line takes for the slip
    read_back_s: float = 30.0  # more for a slip that is read back: its end is confirmed by itself

    def for_call(self, device: str, job: PrintJob | None) -> float:
        if job is None:
            return self.status_s
        whole_s = self.print_s + (self.read_back_s if job.ending else 0)
        return whole_s + (len(job.data) / SLOWEST_BYTES_S if device.startswith("serial:") else 0)


@dataclass
class Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: bool = False  # before this call; the worker may have ended since


class Worker(Protocol):
    """How a worker is reached. OSError when it cannot be."""

    async def reach(self) -> Line: ...

    async def leave(self, line: Line, *, sound: bool) -> None:
        """After a call. Not `sound`: the worker is not to be used again."""

    async def close(self) -> None: ...


class Service:
    """A worker that systemd starts when its socket is called. It cannot be killed from here, and ends by itself."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def reach(self) -> Line:
        return Line(*await asyncio.open_unix_connection(self._path, limit=LINE_BYTES))

    async def leave(self, line: Line, *, sound: bool) -> None:
        line.writer.transport.abort()

    async def close(self) -> None:
        pass


class Child:
    """A worker of our own, started when it is needed and kept while it is sound."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._line: Line | None = None

    async def reach(self) -> Line:
        if self._line and self._process and self._process.returncode is None and not self._line.reader.at_eof():
            self._line.used = True
            return self._line
        await self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                PROGRAM,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)},
                start_new_session=True,  # Ctrl-C is for the daemon, which lets a slip under way come out
            )
        self._line = Line(*await asyncio.open_connection(sock=ours, limit=LINE_BYTES))
        return self._line

    async def leave(self, line: Line, *, sound: bool) -> None:
        if not sound:
            await self.close(at_once=True)

    async def close(self, *, at_once: bool = False) -> None:
        """Hung up on, a worker ends; one that does not is killed."""
        line, self._line = self._line, None
        process, self._process = self._process, None
        if line:
            line.writer.transport.abort()
        if process is None:
            return
        if not at_once:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), END_S)
        if process.returncode is None:
            process.kill()
            with contextlib.suppress(TimeoutError):  # a process that hangs in the kernel outlives even this
                await asyncio.wait_for(process.wait(), END_S)


class DistantPrinter:
    """The port `Printer`. One call at a time."""

    def __init__(
        self,
        worker: Worker,
        device: str,
        profile: Profile,
        timing: Timing | None = None,
        patience: Patience | None = None,
        imager: str = "",
    ) -> None:
        self._imager = imager
        self._worker = worker
        self._device = device
        self._profile = profile
        self._timing = timing or Timing()
        self._patience = patience or Patience()
        self._turn = asyncio.Lock()
        self._granted = False  # in the call under way
        self._news: PrinterStatus | None = None  # of the slip under way

    async def status(self) -> PrinterStatus:
        if self._news:
            return self._news
        async with self._turn:
            answer = await self._call(None)
        return answer if isinstance(answer, PrinterStatus) else PrinterStatus(reachable=False, detail=LOST)

    async def print(self, job: PrintJob) -> PrintOutcome:
        async with self._turn:
            self._news = UNDER_WAY
            try:
                answer = await self._call(job)
            finally:
                self._news = None
            if isinstance(answer, PrintOutcome):
                return answer
            return PrintOutcome.UNKNOWN if self._granted else PrintOutcome.REFUSED

    async def close(self) -> None:
        await self._worker.close()

    async def _call(self, job: PrintJob | None) -> Answer | None:
        """The worker's answer; None when it was lost on the way."""
        limit_s = self._patience.for_call(self._device, job)
        call = Call(self._device, self._profile, self._timing, limit_s, job, self._imager)
        self._granted = False
        try:
            async with asyncio.timeout(limit_s + SLACK_S):
                return await self._ask(call)
        except (OSError, TimeoutError, FormatError) as error:
            log.warning("the printer's worker: %s", str(error) or "no answer in time")
            return None

    async def _ask(self, call: Call) -> Answer | None:
        line = await self._worker.reach()
        answer = await self._exchange(line, call)
        if answer is None and line.used and not self._granted:  # it had nothing to do for long, and ended
            line = await self._worker.reach()
            answer = await self._exchange(line, call)
        return answer

    async def _exchange(self, line: Line, call: Call) -> Answer | None:
        sound = False
        try:
            line.writer.write(encode_call(call))
            while isinstance(answer := await read_answer(line.reader), Word | News) and call.job:
                if isinstance(answer, News):
                    self._news = answer.status
                else:
                    self._granted = True
                    line.writer.write(Word.GO.value)
            sound = isinstance(answer, PrinterStatus if call.job is None else PrintOutcome)
        finally:
            await self._worker.leave(line, sound=sound)
        return answer if sound else None


LOST = (
    "The program that drives the printer was lost and starts anew by itself. "
    "If this stays: journalctl -u 'slipway-print*', and switch the printer off and on."
)
