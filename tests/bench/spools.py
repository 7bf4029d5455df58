"""How the spool's files should be made, on a quiet and on a busy disk: python -m tests.bench.spools.

Each way stores the same instances through the product's own spool, in rounds that take turns; what is printed is the
time from an instance's first byte to its durability. Busy: another process writes 4 MiB and syncs it, again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.adapters.spool import FileSpool
from appliance.formats.sealed import Sealer
from tests.bench.peers import FOLDERS
from tests.fakes.spool import store

SIZES = {"CT": 526_000, "MG": 36_000_000, "small": 22_000}  # bytes of an instance
COUNTS = {"CT": 100, "MG": 4, "small": 300}
WAYS = {"written over": 5, "allocated when made": 0}  # spare files that are there beforehand
NOISE_BYTES = 4 << 20


def disturb(path: Path) -> None:
    block = os.urandom(NOISE_BYTES)
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    while True:
        os.pwrite(fd, block, 0)
        os.fsync(fd)


@contextmanager
def busy(folder: Path, *, wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    process = multiprocessing.Process(target=disturb, args=(folder / "noise",), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


async def measure(folder: Path, spares: int, size: int, count: int) -> list[float]:
    """Milliseconds of each instance."""
    spool = FileSpool(folder, Sealer(bytes(32)), reserve_bytes=0, spare_files=spares)
    spool.start()
    content, taken = os.urandom(size), []
    try:
        for _ in range(count):
            began = time.perf_counter()
            await store(spool, content)
            taken.append((time.perf_counter() - began) * 1000)
    finally:
        spool.stop()
    return taken


def run(rounds: int) -> None:
    taken: dict[tuple[str, bool, str], list[float]] = {}
    for number in range(rounds):
        for name, size in SIZES.items():
            for is_busy in (False, True):
                for way in sorted(WAYS, reverse=bool(number % 2)):
                    folder = FOLDERS / f"spools.{os.getpid()}"
                    shutil.rmtree(folder, ignore_errors=True)
                    folder.mkdir(parents=True)
                    with busy(folder, wanted=is_busy):
                        measured = asyncio.run(measure(folder / "spool", WAYS[way], size, COUNTS[name]))
                    taken.setdefault((name, is_busy, way), []).extend(measured)
                    shutil.rmtree(folder)
    print(f"{'instance':10}{'disk':8}{'files':22}{'median ms':>10}{'99th':>9}{'most':>9}")
    for (name, is_busy, way), values in sorted(taken.items()):
        last = statistics.quantiles(values, n=100)[98]
        disk = "busy" if is_busy else "quiet"
        print(f"{name:10}{disk:8}{way:22}{statistics.median(values):10.2f}{last:9.2f}{max(values):9.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    run(parser.parse_args().rounds)
