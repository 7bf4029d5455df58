"""A modality that sends images over DICOM and knows which of them it may forget. It outlives the box's power cuts."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import Callable

from tests.daemon.house import Image
from tests.fakes.peers import CT, LITTLE, AbortedError, RawPeer

SIZES = (300, 20_000, 60_000, 60_000, 200_000, 1_100_000)  # bytes of pixels: one segment, and two
PDU_BYTES = 131072


class Modality:
    def __init__(self, chance: random.Random, noted: Callable[[str], None] = lambda _: None) -> None:
        """`noted` is called with the UID of each image as soon as it is acknowledged."""
        self._chance = chance
        self._noted = noted
        self._patients = 0
        self.sent: dict[str, str] = {}  # SHA-256 of the dataset by UID
        self.acknowledged: list[str] = []

    async def send(self, port: int, images: int = 1_000_000) -> None:
        """One patient's images, until the box breaks off."""
        self._patients += 1
        patient = f"CUT-{self._patients}"
        with contextlib.suppress(AbortedError, OSError, TimeoutError):
            async with await RawPeer.call(port, pdu=PDU_BYTES) as peer:
                for number in range(1, images + 1):
                    await self._send_one(peer, patient, number)
                await peer.release()

    async def _send_one(self, peer: RawPeer, patient: str, number: int) -> None:
        study = patient.removeprefix("CUT-")
        pixels = self._chance.randbytes(self._chance.choice(SIZES))
        image = Image(study=study, patient_id=patient, name=f"{patient}^TEST", number=number, pixels=pixels)
        dataset = image.dataset
        self.sent[image.uid] = hashlib.sha256(dataset).hexdigest()
        if (await peer.store(dataset, image.uid, CT, LITTLE)).status == 0:
            self.acknowledged.append(image.uid)
            self._noted(image.uid)
        await asyncio.sleep(0)
