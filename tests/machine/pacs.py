"""A PACS that announces studies and wants discs burnt, as datasets; and what it may believe of the answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pydicom.dataset import Dataset

from appliance.daemon.serving import Serving
from appliance.dicom.dimse import CommandField
from appliance.dicom.negotiation import AVAILABILITY_NOTIFICATION, EXPLICIT_LE, MEDIA_CREATION
from appliance.ports import Peer, ServiceAnswer, ServiceRequest
from tests.daemon.asking import CT, burn
from tests.dicom.datasets import decode, encode
from tests.machine.pictures import Picture

INITIATE, CANCEL = 1, 2


@dataclass
class Disc:
    """A media creation request, as the PACS remembers it."""

    uid: str
    profile: str
    pictures: tuple[Picture, ...]
    created: bool = False  # each of these: acknowledged
    initiated: bool = False
    perhaps_initiated: bool = False  # no answer came
    cancelled: bool = False  # or perhaps
    old: bool = False  # the box may have forgotten it

    @property
    def uids(self) -> set[str]:
        return {picture.uid for picture in self.pictures}


@dataclass(frozen=True)
class Announcement:
    pictures: tuple[Picture, ...]

    @property
    def study_uid(self) -> str:
        return self.pictures[0].study_uid

    @property
    def uids(self) -> set[str]:
        return {picture.uid for picture in self.pictures}


async def ask(
    serving: Serving,
    service: str,
    field: CommandField,
    uid: str,
    profile: str,
    data: Dataset | None = None,
    action: int = 0,
) -> ServiceAnswer:
    """Waits for ever where the box ends before it answers."""
    encoded = b"" if data is None else encode(data, EXPLICIT_LE)
    peer = Peer("PACS", profile, "10.20.0.9")
    request = ServiceRequest(peer, field, service, service, uid, EXPLICIT_LE, action, dataset=encoded)
    answered: asyncio.Future[ServiceAnswer] = asyncio.get_running_loop().create_future()
    serving.ask(request, answered.set_result)
    return await answered


async def create(serving: Serving, disc: Disc) -> ServiceAnswer:
    data = burn(disc.pictures)
    return await ask(serving, MEDIA_CREATION, CommandField.N_CREATE_RQ, disc.uid, disc.profile, data)


async def act(serving: Serving, disc: Disc, action: int) -> ServiceAnswer:
    return await ask(serving, MEDIA_CREATION, CommandField.N_ACTION_RQ, disc.uid, disc.profile, action=action)


async def progress(serving: Serving, disc: Disc) -> ServiceAnswer:
    return await ask(serving, MEDIA_CREATION, CommandField.N_GET_RQ, disc.uid, disc.profile)


def status(answer: ServiceAnswer) -> tuple[str, str]:
    """Execution Status and its info."""
    told = decode(answer.dataset, EXPLICIT_LE)
    return str(told.ExecutionStatus), str(told.get("ExecutionStatusInfo", ""))


async def announce(serving: Serving, what: Announcement, uid: str) -> ServiceAnswer:
    dataset, series = Dataset(), Dataset()
    dataset.StudyInstanceUID, dataset.ReferencedPerformedProcedureStepSequence = what.study_uid, []
    series.SeriesInstanceUID, series.ReferencedSOPSequence = f"{what.study_uid}.1", []
    for picture in what.pictures:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, picture.uid
        item.RetrieveAETitle, item.InstanceAvailability = "PACS", "ONLINE"
        series.ReferencedSOPSequence.append(item)
    dataset.ReferencedSeriesSequence = [series]
    return await ask(serving, AVAILABILITY_NOTIFICATION, CommandField.N_CREATE_RQ, uid, "SHARE", dataset)
