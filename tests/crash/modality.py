"""The other side of reception: sends a patient's images, remembers what was acknowledged, and sends again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random

from tests.daemon.house import Image
from tests.fakes.peers import CT, LITTLE, AbortedError, RawPeer, RejectedError

PDU_BYTES = 131072
SIZES = (2_000, 60_000, 1_100_000, 3_000, 400_000, 500)  # one of two segments; together more than two spool files
GONE = (AbortedError, RejectedError, OSError, TimeoutError, asyncio.IncompleteReadError)


class Modality:
    """Two associations at a time, as a workstation does it."""

    def __init__(self, seed: int = 7) -> None:
        chance = random.Random(seed)
        self.images = [Image(number=n, pixels=chance.randbytes(size)) for n, size in enumerate(SIZES, 1)]
        self._datasets = {image.uid: image.dataset for image in self.images}
        self.digests = {uid: hashlib.sha256(data).hexdigest() for uid, data in self._datasets.items()}
        self.acknowledged: set[str] = set()
        self.refusals: list[tuple[int, str]] = []  # status and comment

    async def send(self, port: int, count: int = len(SIZES)) -> None:
        """So many once; until the box breaks off."""
        images = self.images[:count]
        await asyncio.gather(self._send(port, images[::2]), self._send(port, images[1::2]))

    async def send_what_is_missing(self, port: int) -> bool:
        """Whether all is acknowledged now."""
        await self._send(port, [image for image in self.images if image.uid not in self.acknowledged])
        return len(self.acknowledged) == len(self.images)

    async def send_again(self, port: int) -> None:
        """Everything, known or not; and all of it must be taken."""
        taken = len(self.acknowledged)
        self.acknowledged.clear()
        self.refusals.clear()
        await self._send(port, self.images)
        assert len(self.acknowledged) == len(self.images), f"a resend was not taken: {self.refusals}, {taken} before"

    async def _send(self, port: int, images: list[Image]) -> None:
        with contextlib.suppress(*GONE):
            async with await RawPeer.call(port, pdu=PDU_BYTES) as peer:
                for image in images:
                    answer = await peer.store(self._datasets[image.uid], image.uid, CT, LITTLE)
                    if answer.status == 0:
                        self.acknowledged.add(image.uid)
                    else:
                        self.refusals.append((answer.status, answer.comment))
                await peer.release()
