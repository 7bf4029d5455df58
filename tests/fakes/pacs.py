"""Archives with one behaviour a class."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from appliance.errors import PacsRefusedError, PacsUnreachableError
from appliance.ports import FoundInstance, FoundStudy, Retrieved, Wanted

Deliver = Callable[[str, str], Awaitable[None]]  # an instance's UID, and the profile to which it goes


class GoodPacs:
    """Has `studies`, and `instances` of them; what is retrieved goes to `deliver`."""

    def __init__(self, *studies: FoundStudy) -> None:
        self.studies = list(studies)
        self.instances: list[FoundInstance] = []
        self.deliver: Deliver | None = None
        self.questions: list[dict[str, str]] = []
        self.looked_in: list[str] = []  # studies, for instances
        self.retrieved: list[tuple[Wanted, str]] = []

    async def find_studies(
        self, *, accession_number: str = "", study_uid: str = "", patient_id: str = ""
    ) -> list[FoundStudy]:
        self.questions.append({"accession_number": accession_number, "study_uid": study_uid, "patient_id": patient_id})
        asked = {key: value for key, value in self.questions[-1].items() if value}
        return [one for one in self.studies if all(getattr(one, key) == value for key, value in asked.items())]

    async def find_instances(self, study_uid: str, sop_instance_uids: Sequence[str] = ()) -> list[FoundInstance]:
        self.looked_in.append(study_uid)
        return [
            one
            for one in self.instances
            if study_uid in ("", one.study_uid) and (not sop_instance_uids or one.sop_instance_uid in sop_instance_uids)
        ]

    async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
        self.retrieved.append((wanted, profile))
        several = wanted.instances or tuple(one for one in self.instances if one.study_uid == wanted.study_uid)
        for count, one in enumerate(several, 1):
            if self.deliver is not None:
                await self.deliver(one.sop_instance_uid, profile)
            progress(Retrieved(count, 0, len(several) - count))
        return Retrieved(len(several), 0)


class DownPacs(GoodPacs):
    """Cannot be reached until it is `up`."""

    up = False

    async def find_studies(self, **asked: str) -> list[FoundStudy]:
        found = await super().find_studies(**asked)
        if not self.up:
            raise PacsUnreachableError("nobody takes the connection to PACS at 10.20.0.9:104")
        return found


class RefusingPacs(GoodPacs):
    """Answers questions, but sends nothing."""

    async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
        self.retrieved.append((wanted, profile))
        raise PacsRefusedError("the PACS does not know this box's AE title SHARE (C-MOVE status A801)", hint="Add it.")


class SlowPacs(GoodPacs):
    """Answers nothing before it is `let`."""

    def __init__(self, *studies: FoundStudy) -> None:
        super().__init__(*studies)
        self.let = asyncio.Event()

    async def find_studies(self, **asked: str) -> list[FoundStudy]:
        found = await super().find_studies(**asked)
        await self.let.wait()
        return found

    async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
        self.retrieved.append((wanted, profile))
        await self.let.wait()
        return await super().retrieve(wanted, profile, progress)
