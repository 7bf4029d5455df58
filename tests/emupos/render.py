"""Bytes on standard input to what emupos, a printer simulator that is not ours, would have on its paper.

Runs in an environment of its own, with Python 3.13 (requirements.txt): `python render.py WIDTH_DOTS FOLDER`. Writes
FOLDER/1.png, 2.png, … one a cut, and says as JSON which commands it did not understand.
"""

from __future__ import annotations

import importlib
import json
import sys
from importlib.resources import files
from pathlib import Path

MODEL = "profiles/printers/epson-tm-t20iii.yaml"


def main() -> None:
    width, folder = int(sys.argv[1]), Path(sys.argv[2])
    profile = importlib.import_module("yaml").safe_load(files("emupos").joinpath(MODEL).read_text("utf-8"))
    printer = importlib.import_module("emupos.printer.printer").Printer(
        "slip",
        importlib.import_module("emupos.config").PrinterProfile.model_validate({**profile, "width_dots": width}),
        sensor_open_level="high",
        job_idle_timeout_ms=1000,
    )
    printer.open_connection("usb", 0.0)
    outputs = [printer.receive("usb", sys.stdin.buffer.read(), 0.0), printer.close_connection("usb", 0.0)]
    receipts = [receipt for output in outputs for receipt in output.receipts]
    for number, receipt in enumerate(receipts, start=1):
        (folder / f"{number}.png").write_bytes(receipt.png)
    unknown = [
        dict(event.data) for output in outputs for event in output.events if event.type == "printer.command.unknown"
    ]
    print(json.dumps({"slips": len(receipts), "unknown": unknown}))


main()
