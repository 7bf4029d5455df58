"""What a running box has received: read from its spool, decrypted, as it would be after a crash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from appliance.adapters import system
from appliance.adapters.spool import FileSpool
from appliance.formats.sealed import Sealer
from appliance.formats.spool_frame import Receipt
from tests.fakes.spool import read_back
from tests.system.harness import Box, eventually

WITHIN_S = 20.0


@dataclass(frozen=True, order=True)
class Instance:
    """One instance, on its way or arrived: the circumstances, and the SHA-256 of its dataset."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    sha256: str


class Inbox:
    """Every answer of 0000 means that the disk has it, so nothing here waits for the box."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "spool"
        self._sealer = Sealer(system.load_spool_key(state, ""))
        self._known: dict[bytes, tuple[str, Instance]] = {}

    @classmethod
    def of(cls, box: Box) -> Inbox:
        return cls(box.spool)

    def __call__(self, calling: str) -> list[Instance]:
        """What came from that AE title, sorted."""
        eventually(self._scanned, WITHIN_S, "a spool in which everything can be read")
        return sorted(instance for title, instance in self._known.values() if title == calling)

    def _scanned(self) -> bool:
        """False where something is only half there: the box may be writing it now, for somebody else."""
        spool = FileSpool(self._folder, self._sealer)
        for receipt in spool.scan(self._known):
            self._known[receipt.stream_id] = (receipt.arrival.calling_ae_title, _instance(spool, receipt))
        return spool.unreadable == 0


def _instance(spool: FileSpool, receipt: Receipt) -> Instance:
    arrival, digest = receipt.arrival, hashlib.sha256(read_back(spool, receipt))
    return Instance(arrival.sop_class_uid, arrival.sop_instance_uid, arrival.transfer_syntax, digest.hexdigest())
