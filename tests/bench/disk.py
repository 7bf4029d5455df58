"""What a durable write costs on this disk: the floor under every receiver that syncs before it answers."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

SIZES = {"CT": 528_000, "small": 22_000}  # bytes of one instance of the loads
WRITES = 100


def floor(folder: Path) -> list[str]:
    """One line a size: a write with fdatasync to the end of a file, and the same over blocks the file already has."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"floor.{os.getpid()}"
    try:
        return [_line(path, name, size) for name, size in SIZES.items()]
    finally:
        path.unlink(missing_ok=True)


def _line(path: Path, name: str, size: int) -> str:
    content = os.urandom(size)
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        appended = _milliseconds(file, content)
        os.lseek(file, 0, os.SEEK_SET)
        overwritten = _milliseconds(file, content)
    finally:
        os.close(file)
    return f"one durable {name} instance: {_show(appended)} appended, {_show(overwritten)} overwritten"


def _milliseconds(file: int, content: bytes) -> list[float]:
    taken = []
    for _ in range(WRITES):
        started = time.perf_counter()
        os.write(file, content)
        os.fdatasync(file)
        taken.append((time.perf_counter() - started) * 1000)
    return taken


def _show(taken: Sequence[float]) -> str:
    return f"{statistics.median(taken):.2f} ms (mean {statistics.mean(taken):.2f})"
