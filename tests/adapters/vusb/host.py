"""The host process: the product's own USB adapter over the real libusb. JSON lines in and out."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance.adapters.printers import DistantPrinter, Timing, list_usb, open_apart, open_printer
from appliance.adapters.printers.distant import Child
from appliance.formats import printer_profiles
from appliance.formats.printer_profiles import Profile
from appliance.ports import Printer, PrintJob


class Host:
    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._apart: DistantPrinter | None = None

    def use(self, device: str, model: str, timing: dict[str, float], apart: bool = True) -> None:
        """`apart`: by way of the printer's worker, which finds the virtual bus by the environment that it inherits."""
        self.end()
        profile = printer_profiles.find(model)
        self._printer: Printer = open_printer(device, profile, Timing(**timing))
        if apart:
            self._printer = self._apart = _distant(device, profile, Timing(**timing))

    def end(self) -> None:
        if self._apart:
            self._runner.run(self._apart.close())
        self._apart = None

    def kill_in_s(self, delay_s: float) -> None:
        """The worker, in the middle of the next call."""
        assert self._apart
        assert isinstance(self._apart._worker, Child)
        self._runner.run(self._apart.status())
        assert self._apart._worker._process
        threading.Timer(delay_s, os.kill, (self._apart._worker._process.pid, signal.SIGKILL)).start()

    def print(self, number: str, data: str, process_id: str) -> str:
        job = PrintJob(number, bytes.fromhex(data), b"", process_id.encode())
        return self._runner.run(self._printer.print(job)).value

    def status(self) -> dict[str, Any]:
        return asdict(self._runner.run(self._printer.status()))

    def list(self) -> list[str]:
        return [f"{printer.device} {printer.maker} {printer.name}".strip() for printer in list_usb()]

    def held(self) -> tuple[int, int]:
        """Open files and threads: neither may grow from slip to slip."""
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def _distant(device: str, profile: Profile, timing: Timing) -> DistantPrinter:
    printer = open_apart(device, profile, timing=timing)
    assert isinstance(printer, DistantPrinter)
    return printer


def main() -> None:
    with asyncio.Runner() as runner:
        host = Host(runner)
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            print(json.dumps(getattr(host, name)(*arguments)), flush=True)
        host.end()


if __name__ == "__main__":
    main()
