"""Two processes: a virtual bus with printers, and a host that prints on them. No hardware, no root, 0.5 s to start.

with Bench() as bench:
    bench.device.plug("SN1", "ConfirmingPrinter", [], True)
    bench.host.use("usb", "TM-T20II", {})
    bench.host.print(…)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[3]
PRELOAD = "libumockdev-preload.so.0"
END_S = 10


class Bench:
    def __enter__(self) -> Self:
        self.device = _Process("tests.adapters.vusb.device")
        self.host = _Process("tests.adapters.vusb.host", UMOCKDEV_DIR=self.device.greeting)
        return self

    def __exit__(self, *_: object) -> None:
        self.host.end()
        self.device.end()


class _Process:
    """Calls become JSON lines; `greeting` is the first thing the process says."""

    def __init__(self, module: str, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "LD_PRELOAD": PRELOAD, **environment},
        )
        self.greeting = self._read()

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            assert self._process.stdin
            self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
            self._process.stdin.flush()
            return self._read()

        return call

    def _read(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self.end()
            raise RuntimeError(f"the process ended with status {self._process.returncode}; see what it wrote")
        return json.loads(line)

    def end(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
