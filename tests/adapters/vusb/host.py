"""The host process: the product's own USB adapter over the real libusb. JSON lines in and out."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance.adapters.printers import Timing, list_usb, open_printer
from appliance.formats import printer_profiles
from appliance.ports import PrintJob


class Host:
    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    def use(self, device: str, model: str, timing: dict[str, float]) -> None:
        self._printer = open_printer(device, printer_profiles.find(model), Timing(**timing))

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


def main() -> None:
    with asyncio.Runner() as runner:
        host = Host(runner)
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            print(json.dumps(getattr(host, name)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
