"""What a PACS, a RIS and a modality ask of the box, as datasets: discs, workitems, announcements, steps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from pydicom.dataset import Dataset

from appliance.daemon.serving import Serving
from appliance.dicom.dimse import CommandField
from appliance.dicom.negotiation import (
    AVAILABILITY_NOTIFICATION,
    EXPLICIT_LE,
    MEDIA_CREATION,
    PERFORMED_STEP,
    UPS_PUSH,
    UPS_WATCH,
)
from appliance.ports import Peer, ServiceAnswer, ServiceRequest
from tests.daemon.asking import CT, burn
from tests.dicom.datasets import decode, encode
from tests.machine.wishes import Announcement, Step, Wish

INITIATE, CANCEL = 1, 2
REQUEST_CANCEL, SUBSCRIBE, UNSUBSCRIBE = 2, 3, 4


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


async def create(serving: Serving, disc: Wish) -> ServiceAnswer:
    data = burn(disc.pictures)
    return await ask(serving, MEDIA_CREATION, CommandField.N_CREATE_RQ, disc.uid, disc.profile, data)


async def act(serving: Serving, disc: Wish, action: int) -> ServiceAnswer:
    return await ask(serving, MEDIA_CREATION, CommandField.N_ACTION_RQ, disc.uid, disc.profile, action=action)


async def progress(serving: Serving, disc: Wish) -> ServiceAnswer:
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


# -- workitems ---------------------------------------------------------------------------------------------------------


async def push(serving: Serving, wish: Wish) -> ServiceAnswer:
    """For its instances, or for whole studies."""
    dataset = Dataset()
    dataset.ProcedureStepState, dataset.ProcedureStepLabel = "SCHEDULED", "Share with the patient"
    dataset.InputInformationSequence = []
    of_study: dict[str, list[str]] = {uid: [] for uid in wish.studies}
    for picture in wish.pictures:
        of_study.setdefault(picture.study_uid, []).append(picture.uid)
    for study_uid, uids in of_study.items():
        item = Dataset()
        item.StudyInstanceUID, item.ReferencedSOPSequence = study_uid, _references(uids)
        dataset.InputInformationSequence.append(item)
    return await ask(serving, UPS_PUSH, CommandField.N_CREATE_RQ, wish.uid, wish.profile, dataset)


async def cancel_workitem(serving: Serving, wish: Wish) -> ServiceAnswer:
    return await ask(
        serving, UPS_PUSH, CommandField.N_ACTION_RQ, wish.uid, wish.profile, Dataset(), action=REQUEST_CANCEL
    )


async def workitem(serving: Serving, wish: Wish) -> ServiceAnswer:
    return await ask(serving, UPS_WATCH, CommandField.N_GET_RQ, wish.uid, wish.profile)


async def subscribe(serving: Serving, uid: str, receiver: str, action: int) -> ServiceAnswer:
    information = Dataset()
    information.ReceivingAE, information.DeletionLock = receiver, "FALSE"
    return await ask(serving, UPS_WATCH, CommandField.N_ACTION_RQ, uid, "SHARE", information, action=action)


def step_state(answer: ServiceAnswer) -> str:
    return str(decode(answer.dataset, EXPLICIT_LE).ProcedureStepState)


# -- performed steps ---------------------------------------------------------------------------------------------------


async def begin_step(serving: Serving, step: Step) -> ServiceAnswer:
    dataset = Dataset()
    dataset.PerformedProcedureStepStatus, dataset.PerformedSeriesSequence = "IN PROGRESS", []
    dataset.ScheduledStepAttributesSequence = []
    for study_uid in step.studies:
        scheduled = Dataset()
        scheduled.StudyInstanceUID = study_uid
        dataset.ScheduledStepAttributesSequence.append(scheduled)
    return await ask(serving, PERFORMED_STEP, CommandField.N_CREATE_RQ, step.uid, "SHARE", dataset)


async def change_step(serving: Serving, step: Step, status: str, uids: Iterable[str]) -> ServiceAnswer:
    """`status` "": it stays as it is; no `uids`: the list that was sent before holds."""
    dataset, series = Dataset(), Dataset()
    if status:
        dataset.PerformedProcedureStepStatus = status
    series.SeriesInstanceUID, series.ReferencedImageSequence = f"{step.studies[0]}.1", _references(uids)
    if series.ReferencedImageSequence:
        dataset.PerformedSeriesSequence = [series]
    return await ask(serving, PERFORMED_STEP, CommandField.N_SET_RQ, step.uid, "SHARE", dataset)


def _references(uids: Iterable[str]) -> list[Dataset]:
    items = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, uid
        items.append(item)
    return items
