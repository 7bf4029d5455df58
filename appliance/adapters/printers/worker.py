"""The program that drives the printer: `python -m appliance.adapters.printers.worker`, one call after another.

It is told everything it needs in a call, reads no settings, writes no file, and ends by itself: when the daemon hangs
up, when nobody calls, and, by the kernel's hand, when a call takes longer than its deadline. systemd gives it a
listening socket as descriptor 3; a daemon without systemd gives it a connected one as descriptor 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import re
import resource
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable

from appliance.adapters.imager import ScanningImager
from appliance.adapters.printers.conversation import ConversingPrinter
from appliance.adapters.printers.factory import open_transport
from appliance.adapters.printers.messages import LINE_BYTES, Call, News, Word, encode_answer, read_call
from appliance.adapters.printers.read_back import ReadBack
from appliance.adapters.printers.transport import Transport
from appliance.adapters.scanner import open_scanner
from appliance.errors import FormatError, PrinterUnreachableError, SettingsError, SlipwayError
from appliance.ports import PrinterStatus, PrintOutcome

log = logging.getLogger("slipway.printer")

IDLE_S = 300.0
STALE_S = 60.0  # a worker as old as that which does not reach its printer makes room for a fresh one
FIRST_PASSED_DESCRIPTOR = 3  # sd_listen_fds(3)
PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38  # linux/prctl.h

NEWS_S = 0.5

# These print nothing: DLE EOT, GS a, GS I, GS r, and DLE DC4 function 8, which forgets what was sent.
QUESTIONS = re.compile(
    rb"(?:\x10\x04[\x01-\x06]|\x10\x04[\x07\x08\x12].|\x1d[aIr].|\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08)+", re.DOTALL
)

REACHED = (PrintOutcome.PRINTED, PrintOutcome.TAKEN)

Permission = Callable[[], Awaitable[None]]


class GuardedTransport:
    """A transport that asks for permission once, before the first byte that is not a question."""

    def __init__(self, transport: Transport, permission: Permission) -> None:
        self._transport = transport
        self._permission = permission
        self._granted = False
        self.open, self.read, self.close = transport.open, transport.read, transport.close

    async def write(self, data: bytes, within_s: float) -> None:
        if not self._granted and not QUESTIONS.fullmatch(data):
            await self._permission()
            self._granted = True
        await self._transport.write(data, within_s)


class Eyes:
    """The imager, which stays open between calls: some beep at each opening, and codes would be lost."""

    def __init__(self) -> None:
        self._device = ""
        self._imager: ScanningImager | None = None

    async def open(self, device: str) -> ReadBack | None:
        """What was read before counts no more. SlipwayError when it is not there."""
        if device != self._device:
            if self._imager:
                await self._imager.close()
            self._imager = ScanningImager(open_scanner(device)) if device else None
            self._device = device
        if not self._imager:
            return None
        await self._imager.start()
        return ReadBack(self._imager)


class Daemon:
    """Whoever calls, while the line to it is open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, eyes: Eyes) -> None:
        self._eyes = eyes
        self._reader = reader
        self._writer = writer

    async def attend(self, started: float, idle_s: float) -> bool:
        """Serve its calls until it hangs up; False when this process had better end. Raises FormatError."""
        while (call := await self._next_call(idle_s)) is not None:
            # No handler: the kernel ends the process, whatever hangs in it.
            signal.setitimer(signal.ITIMER_REAL, call.deadline_s)
            answer = await self._serve(call)
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._writer.write(encode_answer(answer))
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()
            reached = answer.reachable if isinstance(answer, PrinterStatus) else answer in REACHED
            if not reached and time.monotonic() - started > STALE_S:
                return False
        return True

    async def _next_call(self, idle_s: float) -> Call | None:
        try:
            return await asyncio.wait_for(read_call(self._reader), idle_s)
        except TimeoutError:
            return None

    async def _serve(self, call: Call) -> PrinterStatus | PrintOutcome:
        try:
            transport = open_transport(call.device)
        except SettingsError as error:
            refused = PrinterStatus(reachable=False, detail=f"{error.summary}. {error.hint}")
            return PrintOutcome.REFUSED if call.job else refused
        try:
            read_back = await self._eyes.open(call.imager)
        except SlipwayError as error:
            log.warning("the imager: %s", error.summary)
            blind = PrinterStatus(reachable=False, detail=f"{error.summary}. {error.hint}")
            return PrintOutcome.REFUSED if call.job else blind
        if call.job is None:
            return await ConversingPrinter(transport, call.profile, call.timing).status()
        line = GuardedTransport(transport, self._permission)
        printer = ConversingPrinter(line, call.profile, call.timing, read_back)
        news = asyncio.create_task(self._tell_news(printer))
        try:
            return await printer.print(call.job)
        finally:
            news.cancel()
            await asyncio.wait([news])

    async def _tell_news(self, printer: ConversingPrinter) -> None:
        told = None
        while True:
            await asyncio.sleep(NEWS_S)
            with contextlib.suppress(TimeoutError):  # before the slip it waits for its turn, which comes after it
                status = await asyncio.wait_for(printer.status(), NEWS_S)
                if status != told:
                    self._writer.write(encode_answer(News(status)))
                told = status

    async def _permission(self) -> None:
        self._writer.write(Word.MAY_SEND.value)
        line = await self._reader.readline()
        if line != Word.GO.value:
            raise PrinterUnreachableError("the daemon has withdrawn the slip")

    def hang_up(self) -> None:
        self._writer.transport.abort()


async def serve(door: socket.socket, *, listens: bool, idle_s: float = IDLE_S) -> None:
    """Until there is a reason to end."""
    started, eyes = time.monotonic(), Eyes()
    door.setblocking(False)
    goes_on = True
    while goes_on:
        try:
            line = await _accept(door, idle_s) if listens else door
        except TimeoutError:
            return
        daemon = Daemon(*await asyncio.open_connection(sock=line, limit=LINE_BYTES), eyes)
        try:
            goes_on = await daemon.attend(started, idle_s) and listens
        except (FormatError, ConnectionError) as error:
            log.warning("hung up on a caller: %s", error)
            goes_on = listens
        finally:
            daemon.hang_up()


async def _accept(door: socket.socket, idle_s: float) -> socket.socket:
    return (await asyncio.wait_for(asyncio.get_running_loop().sock_accept(door), idle_s))[0]


def _harden() -> None:
    """What needs no privilege; systemd's sandbox is much narrower. The slip's bytes are in this memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def main() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    _harden()
    listens = os.environ.get("LISTEN_PID") == str(os.getpid())
    door = socket.socket(fileno=FIRST_PASSED_DESCRIPTOR if listens else sys.stdin.fileno())
    asyncio.run(serve(door, listens=listens))


if __name__ == "__main__":
    main()
