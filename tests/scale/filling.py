"""Fills a box's spool with a hundred thousand tiny images, through the product's own writer, in seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from appliance.adapters.spool import FileSpool
from appliance.formats.sealed import Sealer
from tests.daemon.house import Image
from tests.fakes.spool import arrival, finish

IMAGES_A_STUDY = 1000
AT_ONCE = 256  # that share a sync of the disk
_STUDY, _NUMBER = 10001, 20001  # fixed width: one image is made into any other by writing over the digits


def images(count: int) -> Iterator[tuple[str, bytes]]:
    """UID and dataset. Each study is another patient's."""
    patient = {"patient_id": f"SCALE-{_STUDY}", "name": f"SCALE^{_STUDY}^"}
    pattern = Image(study=str(_STUDY), number=_NUMBER, pixels=b"\1\2", **patient)
    uid, dataset = pattern.uid.encode(), pattern.dataset
    for index in range(count):
        study = b"%d" % (_STUDY + index // IMAGES_A_STUDY)
        number = b"%d" % (_NUMBER + index % IMAGES_A_STUDY)

        def other(value: bytes, study: bytes = study, number: bytes = number) -> bytes:
            return value.replace(b"%d" % _STUDY, study).replace(b"%d" % _NUMBER, number)

        yield other(uid).decode(), other(dataset)


async def fill(folder: Path, sealer: Sealer, count: int) -> None:
    """As many as the box would have on its disk if it had been killed before it listed a single one."""
    spool = FileSpool(folder, sealer)
    spool.start()
    waiting: list[asyncio.Future[object]] = []
    for uid, dataset in images(count):
        incoming = spool.begin()
        incoming.write(memoryview(dataset))
        waiting.append(finish(incoming, arrival(uid)))  # type: ignore[arg-type]
        if len(waiting) == AT_ONCE:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    await asyncio.to_thread(spool.stop)
