"""A process that spools instances, for tests that fail its disk: python -m … FOLDER COUNT BYTES.

One line an instance: what became of it. `go on` on standard input lets it write one more.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from appliance.adapters.spool import FileSpool
from appliance.errors import SlipwayError
from appliance.formats.sealed import Sealer
from tests.fakes.spool import arrival, store


async def main(folder: Path, count: int, size: int) -> None:
    spool = FileSpool(folder, Sealer(bytes(range(32))), reserve_bytes=0, file_bytes=4 << 20)
    spool.start()
    for number in range(count):
        await _store(spool, number, size)
    while await asyncio.to_thread(sys.stdin.readline):
        await _store(spool, -1, 1000)
    spool.stop()


async def _store(spool: FileSpool, number: int, size: int) -> None:
    try:
        await store(spool, bytes([number & 0xFF]) * size, arrival(f"1.2.{number}"))
        print("stored", flush=True)
    except SlipwayError as error:
        print(error.code, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
