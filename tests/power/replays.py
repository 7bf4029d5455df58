"""Every disk that a power cut could have left, from a recorded session: mounted, and looked at.

For each flush of the session: what was certain by then, and with it nothing, or a part of what was not, torn at the
sizes that disks write whole.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any

from appliance.formats.sealed import Sealer
from tests.power import box as boxes
from tests.power import checks
from tests.power.box import DISK, STATE, Box
from tests.power.kernel import MappedDevice, load_module, mount, sectors_of, unmount
from tests.power.log_writes import Copier, Moment, moments, read_log
from tests.power.recordings import KEY, Session, play_box, play_reception, record

START_EVERY = 40  # states: in one of them the box itself is started, too
ONLY_CERTAIN = 0.3  # of the states; the others have a part of what had not been flushed
LOOK_AT_ALL_EVERY = 20  # states; in the others at what is new since the last flush


@dataclass
class Said:
    """What the box had told the world by a moment."""

    acknowledged: dict[str, None] = field(default_factory=dict)
    paper: set[str] = field(default_factory=set)
    removed: int = 0

    def hear(self, marks: list[str]) -> None:
        for kind, _, what in (mark.partition(":") for mark in marks):
            if kind == "ack":
                self.acknowledged[what] = None
            elif kind == "paper":
                self.paper.add(what)
            elif kind == "removed":
                self.removed = max(self.removed, int(what))


class Replay:
    def __init__(self, devices: list[str], whole_box: bool, seed: int) -> None:
        self._recorded, self._log, self._disk, self._scratch = devices
        self._whole_box = whole_box
        self._chance = random.Random(seed)
        self._said = Said()
        self._known: dict[bytes, str] = {}  # UID by stream, of what was found whole on what is certain
        self.report: dict[str, Any] = {"states": 0, "moments": 0, "acknowledged": 0, "problems": []}

    def run(self, session_s: float, states: int, limit_s: float) -> None:
        for module in ("dm-mod", "dm-log-writes", "dm-bufio", "dm-snapshot"):
            load_module(f"drivers/md/{module}")
        if self._whole_box:
            boxes.prepare()
        play = play_box if self._whole_box else play_reception
        session = record(self._recorded, self._log, self._chance, play, session_s)
        until = time.monotonic() + limit_s
        found = list(moments(read_log(self._log)))
        said_at = next((index for index, moment in enumerate(found) if moment.marks), 0)
        each = states / (len(found) - said_at)
        copier = Copier(self._log)
        self.report |= {"moments": len(found), "acknowledged": len(session.modality.acknowledged)}
        for index, moment in enumerate(found):
            self._said.hear(moment.marks)
            looks = int(each) + (self._chance.random() < each % 1) if index >= said_at else 0
            for _ in range(looks):
                self._look(session, copier, moment, certain=self._chance.random() < ONLY_CERTAIN)
            if self.report["problems"] or time.monotonic() > until:
                break
            copier.copy(moment.writes, self._disk)  # its end is a flush

    def _look(self, session: Session, copier: Copier, moment: Moment, *, certain: bool) -> None:
        """One state, with only what is certain or with some of the rest."""
        sectors = sectors_of(self._disk)
        shot = MappedDevice.create("shot", sectors, f"snapshot {self._disk} {self._scratch} N 8")
        try:
            copier.copy_some(moment.writes, shot.path, self._chance, loose=not certain)
            mount(shot.path, DISK, "ext4")
            try:
                self.report["problems"] += self._check(session, certain=certain)
                if self._whole_box and self.report["states"] % START_EVERY == START_EVERY - 1:
                    self.report["problems"] += self._start(session)
            finally:
                unmount(DISK)
        finally:
            shot.remove()
        self.report["states"] += 1

    def _check(self, session: Session, *, certain: bool) -> list[str]:
        folder, sealer = (STATE, checks.sealer_of(STATE)) if self._whole_box else (DISK, Sealer(KEY))
        if sealer is None:
            return ["the box's key is gone"] if self._said.acknowledged else []
        all_of_it = self.report["states"] % LOOK_AT_ALL_EVERY == 0
        new, digests = {}, {}
        for receipt, digest in checks.read_spool(folder / "spool", sealer, () if all_of_it else self._known):
            new[receipt.stream_id] = receipt.arrival.sop_instance_uid
            digests[receipt.arrival.sop_instance_uid] = digest
        if not all_of_it:
            digests |= {uid: session.modality.sent[uid] for uid in self._known.values()}
        if certain:
            self._known |= new
        problems = checks.compare(digests, session.modality.sent, self._expected(session))
        with checks.journal_of(folder) as journal:
            if journal is not None:
                problems += checks.check_journal(journal, {*self._known, *new}, self._said.paper)
        return problems

    def _expected(self, session: Session) -> list[str]:
        return [
            uid
            for uid in self._said.acknowledged
            if session.files.get(uid, self._said.removed + 1) > self._said.removed
        ]

    def _start(self, session: Session) -> list[str]:
        """Without a line to the vault, which has seen what on this disk is still to come."""
        box = Box()
        try:
            box.wait_until_it_listens()
        except AssertionError as error:
            return [str(error)]
        finally:
            box.kill()
        return self._check(session, certain=False)


def run(devices: list[str], case: str, states: int, seed: int, session_s: float, limit_s: float) -> dict[str, Any]:
    replay = Replay(devices, case == "box", seed)
    replay.run(session_s, states, limit_s)
    return replay.report
