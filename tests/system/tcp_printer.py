"""A fake printer on TCP in a thread of its own, for tests whose programs are other processes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from tests.fakes.printers import FakePrinter, Job
from tests.system.harness import eventually


@dataclass
class ListeningPrinter:
    machine: FakePrinter

    @property
    def device(self) -> str:
        return f"tcp://127.0.0.1:{self.machine.port}"

    def job(self, number: int = 1, within_s: float = 30) -> Job:
        """The slip that came out as the `number`-th."""
        eventually(lambda: len(self.machine.jobs) >= number, within_s, f"slip {number} out of the printer")
        return self.machine.jobs[number - 1]


@contextlib.contextmanager
def listening(machine: FakePrinter) -> Iterator[ListeningPrinter]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(machine.listen(), loop).result(10)
        yield ListeningPrinter(machine)
    finally:
        asyncio.run_coroutine_threadsafe(machine.switch_off(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
