"""One life of a real box: forked from a process that has imported everything, watched, and ended from outside.

A start of Python for each of some thousand lives would cost more than all that they do.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from appliance import config
from appliance.adapters import control, system
from appliance.adapters.spool import FileSpool
from appliance.daemon.compose import ground
from appliance.daemon.run import run
from appliance.errors import SlipwayError
from appliance.formats import escpos
from tests.crash.syscalls import GO_ON, Gate, Verdict, fetch, watch_this_process
from tests.system.harness import free_port

START_S = 10.0
END_S = 30.0
FILE_BYTES = 1 << 20  # small, so that a few images are enough to fill several
SPARE_FILES = 2  # and few, so that files are both written over and made
LISTENER = 400  # the descriptor under which a watched box offers itself; higher than any of its own
CRASHED = 70  # exit status: an error that nobody had foreseen


def warm_up() -> None:
    """Everything a life needs that can be done before it is forked off."""
    escpos.library()
    gc.freeze()


def keep_port() -> socket.socket:
    """A free one, kept bound, so that nobody else takes it between two lives; the box may listen on it all the same."""
    while True:
        keeper = socket.socket()
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            keeper.bind(("127.0.0.1", free_port()))
            return keeper
        keeper.close()


class House:
    """The disk of a box and where it listens: what outlives each of its lives."""

    def __init__(self, folder: Path, enrolment: Path) -> None:
        """`enrolment`: the enrolment.json of a box that the vault knows."""
        self.folder = folder
        self.state = folder / "state"
        self.slips = folder / "slips"
        self.log = folder / "box.log"
        self._keeper = keep_port()
        self.port = self._keeper.getsockname()[1]
        self.fill_percent = 100  # of the disk, at which nothing more is taken: it is to be really full
        self.state.mkdir(parents=True, exist_ok=True)
        self.slips.mkdir(exist_ok=True)
        self._enrolment = enrolment
        self.enrol()

    def enrol(self) -> None:
        system.write_secret(self.state / self._enrolment.name, self._enrolment.read_bytes())

    @property
    def settings(self) -> config.Settings:
        return config.parse(
            {
                "dicom": {"listen": [f"127.0.0.1:{self.port}"], "unknown_peers": "accept"},
                "profile": [{"ae_title": "SHARE", "quiet_seconds": 3600, "second_factor": "none"}],
                "printer": {"device": f"file://{self.slips}"},
                "spool": {"path": str(self.state), "spare_files": SPARE_FILES, "fill_percent": self.fill_percent},
            }
        )

    def said(self, what: str) -> bool:
        return what in self.log.read_text()

    async def ask(self, command: str, **arguments: Any) -> Any:
        return await control.call(self.state, command, arguments)


class Life:
    """From fork to death. Use as `async with`; whoever is still alive at the end is killed."""

    def __init__(self, house: House, verdict: Verdict | None = None, *, from_birth: bool = False) -> None:
        """`verdict` is asked once the box is ready, or `from_birth`: then it need not live to be ready.

        None: it is not watched at all.
        """
        assert threading.active_count() == 1, "only a process of one thread may fork"
        self.house = house
        self.ready_s = 0.0
        self.dead = asyncio.Event()
        self.status = 0  # as os.waitstatus_to_exitcode has it
        self._asked = verdict
        self._from_birth = from_birth
        self._verdict: Verdict = verdict if verdict and from_birth else lambda _: GO_ON
        self._gate: Gate | None = None
        self._ready = asyncio.Event()
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify = str(house.folder / "notify")
        Path(self._notify).unlink(missing_ok=True)
        self._notified.bind(self._notify)
        self._notified.setblocking(False)

    async def __aenter__(self) -> Life:
        began, loop = time.monotonic(), asyncio.get_running_loop()
        self.pid = os.fork()
        if self.pid == 0:
            _live(self.house, self._notify, watched=self._asked is not None)
        self._pidfd = os.pidfd_open(self.pid)
        loop.add_reader(self._pidfd, self._died)
        if self._asked is not None:
            listener = fetch(self._pidfd, LISTENER)
            self._gate = Gate(self.pid, listener, lambda call: self._verdict(call))
            loop.add_reader(listener, self._attend)
        loop.add_reader(self._notified, self._said)
        try:
            await self._started()
        except BaseException:
            await self.__aexit__()
            raise
        self.ready_s = time.monotonic() - began
        self._verdict = self._asked or self._verdict
        return self

    def _said(self) -> None:
        if b"READY=1" in self._notified.recv(200):
            self._ready.set()

    async def _started(self) -> None:
        """AssertionError when it ends or takes too long instead."""
        waiting = [asyncio.create_task(event.wait()) for event in (self._ready, self.dead)]
        await asyncio.wait(waiting, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        died_young = self.dead.is_set() and self._from_birth
        assert self._ready.is_set() or died_young, f"not ready in {START_S:g} s: {self.house.log.read_text()[-1000:]}"

    async def __aexit__(self, *_: object) -> None:
        if not self.dead.is_set():
            os.kill(self.pid, signal.SIGKILL)
        await self.dead.wait()
        asyncio.get_running_loop().remove_reader(self._notified)
        self._notified.close()

    async def end(self) -> None:
        """As systemd ends it."""
        if not self.dead.is_set():
            os.kill(self.pid, signal.SIGTERM)
        async with asyncio.timeout(END_S):
            await self.dead.wait()

    async def or_death(self, condition: Callable[[], Any], within_s: float) -> bool:
        """Whether the condition came true before the box died or time was up."""
        until = time.monotonic() + within_s
        while not self.dead.is_set() and time.monotonic() < until:
            if condition():
                return True
            await asyncio.sleep(0.02)
        return False

    def _attend(self) -> None:
        if self._gate is not None and not self._gate.attend():
            self._stop_watching()

    def _stop_watching(self) -> None:
        if self._gate is not None:
            asyncio.get_running_loop().remove_reader(self._gate.listener)
            os.close(self._gate.listener)
            self._gate = None

    def _died(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._stop_watching()
        _, status = os.waitpid(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(status)
        self.dead.set()


def _live(house: House, notify: str, *, watched: bool) -> NoReturn:
    """The child: what `slipway run` does, with smaller spool files."""
    status = CRASHED
    gc.freeze()  # what the parent left here must never be collected: its descriptors are closed and given out anew
    try:
        os.closerange(3, LISTENER)
        os.environ["NOTIFY_SOCKET"] = notify
        log = os.open(house.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for number in (1, 2):
            os.dup2(log, number)
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s", force=True)
        small = functools.partial(FileSpool, file_bytes=FILE_BYTES, reserve_bytes=0)
        setattr(ground, "FileSpool", small)  # noqa: B010 - no settings for it: nobody else wants files this small
        if watched:
            watch_this_process(LISTENER)
        status = run(house.settings)
    except SlipwayError as error:
        logging.error("ended: %s %s", error.summary, error.hint)
        status = error.exit_status
    except BaseException:
        logging.exception("crashed")
    finally:
        os._exit(status)
