"""An acceptor and a spool in a process of their own: python -m tests.adapters.acceptor_child FOLDER [LIMIT=VALUE …].

Says its port, then serves until standard input ends.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from appliance.adapters.acceptor import Acceptor
from appliance.adapters.association import Limits
from appliance.adapters.spool import FileSpool
from appliance.formats.sealed import Sealer
from tests.fakes.peers import OpenReception


async def main(folder: Path, limits: Limits) -> None:
    spool = FileSpool(folder, Sealer(bytes(range(32))), reserve_bytes=0)
    spool.start()
    acceptor = Acceptor(spool, OpenReception(), time.time, limits)
    ((_, port),) = await acceptor.listen((("127.0.0.1", 0),))
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await acceptor.stop()
    spool.stop()
    acceptor.hang_up()
    await asyncio.sleep(0)


def limits_of(words: list[str]) -> Limits:
    pairs = (word.split("=") for word in words)
    return Limits(**{name: int(value) if name in ("silent", "associations") else float(value) for name, value in pairs})  # type: ignore[arg-type]


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), limits_of(sys.argv[2:])))
