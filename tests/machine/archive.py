"""Whom the box calls: an archive that it may ask, and those who want to know of workitems; both at their worst."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from appliance.errors import PacsRefusedError, PacsUnreachableError, ReceiverUnreachableError
from appliance.ports import FoundInstance, FoundStudy, Report, Retrieved, StateReport, Wanted
from tests.machine.pictures import Picture
from tests.machine.world import ON_THE_WAY_S, Mains

Deliver = Callable[[Picture], Awaitable[bool]]  # as an association of the archive with the box; whether it took it


class Temper(StrEnum):
    GOOD = "answers, and sends"
    DOWN = "cannot be reached"
    REFUSES = "answers questions, and sends nothing"
    HALF = "sends the first image, and fails with the others"
    BREAKS = "falls silent after the first image"
    SLOW = "answers when its temper is better"
    NUMBERLESS = "does not count its images"
    TERSE = "answers no question below the study"


@dataclass
class Archive:
    kept: dict[str, Picture] = field(default_factory=dict)  # by SOP Instance UID
    temper: Temper = Temper.GOOD
    counted: dict[str, set[int]] = field(default_factory=dict)  # numbers that it has told, by study
    asked_for: Callable[[Wanted, str], None] = lambda _wanted, _profile: None
    better: asyncio.Event = field(default_factory=asyncio.Event)

    def keep(self, picture: Picture) -> None:
        self.kept.setdefault(picture.uid, picture)

    def turn(self, temper: Temper) -> None:
        self.temper = temper
        if temper is not Temper.SLOW:
            self.better.set()
            self.better = asyncio.Event()

    def of_study(self, study_uid: str) -> list[Picture]:
        return [picture for picture in self.kept.values() if picture.study_uid == study_uid]

    def studies(self) -> list[FoundStudy]:
        uids = dict.fromkeys(picture.study_uid for picture in self.kept.values())
        return [self._described(uid, self.of_study(uid)) for uid in uids]

    def _described(self, study_uid: str, several: list[Picture]) -> FoundStudy:
        """An archive shows a study as its first image was."""
        patient_id, name, birth_date = several[0].person
        number = None if self.temper is Temper.NUMBERLESS else len(several)
        return FoundStudy(study_uid, patient_id, name, birth_date, accession(several[0]), instances=number)


def accession(picture: Picture) -> str:
    """One order may have two studies; a number that two patients have is a mistake, and happens."""
    return "ACC-B" if picture.study_uid.endswith(f"{ord('B')}.1") else "ACC-A"


class ArchiveLine:
    """The port `Pacs` of one life of the box."""

    def __init__(self, archive: Archive, mains: Mains, deliver: Deliver) -> None:
        self._archive = archive
        self._mains = mains
        self._deliver = deliver

    async def find_studies(
        self, *, accession_number: str = "", study_uid: str = "", patient_id: str = ""
    ) -> list[FoundStudy]:
        await self._reach()
        asked = {"accession_number": accession_number, "study_uid": study_uid, "patient_id": patient_id}
        wanted = {key: value for key, value in asked.items() if value}
        found = [
            one for one in self._archive.studies() if all(getattr(one, key) == value for key, value in wanted.items())
        ]
        for one in found:
            if one.instances is not None:
                self._archive.counted.setdefault(one.study_uid, set()).add(one.instances)
        return found

    async def find_instances(self, study_uid: str, sop_instance_uids: Sequence[str] = ()) -> list[FoundInstance]:
        await self._reach()
        if self._archive.temper is Temper.TERSE:
            return []
        return [
            FoundInstance(one.study_uid, f"{one.study_uid}.{one.series}", one.sop_class, one.uid)
            for one in self._archive.kept.values()
            if study_uid in ("", one.study_uid) and (not sop_instance_uids or one.uid in sop_instance_uids)
        ]

    async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
        await self._reach()
        archive = self._archive
        if archive.temper is Temper.REFUSES:
            raise PacsRefusedError("the PACS does not know this box's AE title (C-MOVE status A801)")
        archive.asked_for(wanted, profile)
        uids = [one.sop_instance_uid for one in wanted.instances]
        several = [one for one in archive.of_study(wanted.study_uid) if not uids or one.uid in uids]
        done = failed = 0
        for one in several:
            if done and archive.temper is Temper.BREAKS:
                raise PacsUnreachableError("the PACS fell silent before C-MOVE was done")
            await asyncio.sleep(ON_THE_WAY_S)
            await self._mains.flow()
            sends = not (done and archive.temper is Temper.HALF)
            taken = sends and await self._deliver(replace(one, profile=profile, sender="PACS"))
            done, failed = done + taken, failed + (not taken)
            progress(Retrieved(done, failed, len(several) - done - failed))
        return Retrieved(done, failed)

    async def _reach(self) -> None:
        await self._mains.flow()
        await asyncio.sleep(ON_THE_WAY_S)
        if self._archive.temper is Temper.SLOW:
            await self._archive.better.wait()
        await self._mains.flow()
        if self._archive.temper is Temper.DOWN:
            raise PacsUnreachableError("nobody takes the connection to PACS")


@dataclass
class Ear:
    """Subscribers of workitems, and what they were told."""

    told: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # states, by receiver and workitem
    deaf: bool = False
    heard: Callable[[str, str], None] = lambda _uid, _state: None


class EarLine:
    """The port `Reporter` of one life of the box."""

    def __init__(self, ear: Ear, mains: Mains) -> None:
        self._ear = ear
        self._mains = mains

    async def report(self, receiver: str, reports: Sequence[Report]) -> None:
        await self._mains.flow()
        await asyncio.sleep(ON_THE_WAY_S)
        await self._mains.flow()
        if self._ear.deaf:
            raise ReceiverUnreachableError(f"nobody takes the connection to {receiver}")
        for report in reports:
            if not isinstance(report, StateReport):
                continue
            self._ear.told.setdefault((receiver, report.workitem_uid), []).append(str(report.state))
            self._ear.heard(report.workitem_uid, str(report.state))
