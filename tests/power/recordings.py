"""Sessions under dm-log-writes: every write of the disk in its order, with marks for what the sender was told.

Two of them: the whole box with its journal and its slips, and reception alone with small files that are used again and
again, which is where an old frame could be taken for a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.adapters.acceptor import Acceptor
from appliance.adapters.association import Limits
from appliance.adapters.spool import FileSpool
from appliance.formats.sealed import Sealer
from appliance.formats.spool_frame import Receipt
from appliance.ports import Peer
from tests.fakes.peers import OpenReception
from tests.power import box as boxes
from tests.power.box import DISK, PORT, SLIPS, Box
from tests.power.kernel import MappedDevice, mount, sectors_of, unmount
from tests.power.modality import Modality

KEY = bytes(range(32))  # of the reception alone
FILE_BYTES = 3 << 20
FILES_KEPT = 3


@dataclass
class Session:
    """What happened, by what the marks say."""

    chance: random.Random
    tell: Callable[[str], None]
    files: dict[str, int] = field(
        default_factory=dict
    )  # first spool file of each image, by UID; of the reception alone

    def __post_init__(self) -> None:
        self._on_paper: set[str] = set()
        self.modality = Modality(self.chance, self._acknowledged)

    def _acknowledged(self, uid: str) -> None:
        self.tell(f"mark ack:{uid}")
        for path in SLIPS.glob("*.bin"):
            if path.stem not in self._on_paper:
                self._on_paper.add(path.stem)
                self.tell(f"mark paper:{path.stem}")


Play = Callable[[Session, float], None]


def record(device: str, log: str, chance: random.Random, play: Play, lasts_s: float) -> Session:
    mapped = MappedDevice.create("recorded", sectors_of(device), f"log-writes {device} {log}")
    session = Session(chance, mapped.tell)
    boxes.make_file_system(mapped.path)
    mount(mapped.path, DISK, "ext4")
    play(session, lasts_s)
    unmount(DISK)
    mapped.remove()
    return session


def play_box(session: Session, lasts_s: float) -> None:
    """Several lives, each ended by kill -9."""
    boxes.move_in(spare_files=0)  # recycled files are the other session's
    until = time.monotonic() + lasts_s
    while time.monotonic() < until:
        box = Box()
        box.wait_until_it_listens()
        asyncio.run(_send_for(session, session.chance.uniform(0.5, 4)))
        box.kill()


def play_reception(session: Session, lasts_s: float) -> None:
    asyncio.run(_receive(session, lasts_s))


async def _send_for(session: Session, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(session.modality.send(PORT) for _ in range(2)))


class _Taking(OpenReception):
    def __init__(self, files: dict[str, int]) -> None:
        super().__init__()
        self._files = files

    def stored(self, receipt: Receipt, peer: Peer | None = None) -> None:
        self._files[receipt.arrival.sop_instance_uid] = min(piece.file_number for piece in receipt.pieces)


async def _receive(session: Session, lasts_s: float) -> None:
    """The box's reception in this process. Files that are a few behind go, as if their images had been relayed."""
    spool = FileSpool(DISK / "spool", Sealer(KEY), reserve_bytes=0, file_bytes=FILE_BYTES, spare_files=2)
    spool.start()
    acceptor = Acceptor(spool, _Taking(session.files), time.time, Limits())
    await acceptor.listen((("127.0.0.1", PORT),))
    sending = asyncio.create_task(_send_for(session, lasts_s))
    while not sending.done():
        for number in spool.files()[:-FILES_KEPT]:
            session.tell(f"mark removed:{number}")
            spool.remove(number)
        await asyncio.sleep(0.02)
    await acceptor.stop()
    spool.stop()
    acceptor.hang_up()
