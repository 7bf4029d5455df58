"""What a PACS asks of a house's services, as datasets; not over a network."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

from pydicom.dataset import Dataset

from appliance.dicom.dimse import CommandField
from appliance.dicom.negotiation import (
    AVAILABILITY_NOTIFICATION,
    EXPLICIT_LE,
    MEDIA_CREATION,
    PERFORMED_STEP,
    UPS_PUSH,
)
from appliance.ports import Peer, ServiceAnswer, ServiceRequest
from tests.daemon.house import House, Image
from tests.dicom.datasets import decode, encode

CT = "1.2.840.10008.5.1.4.1.1.2"
REQUEST, NOTE, STEP = "1.2.826.4711.9.1", "1.2.826.4711.9.2", "1.2.826.4711.9.3"


async def ask(
    box: House,
    service: str,
    field: CommandField,
    uid: str,
    dataset: Dataset | None = None,
    action: int = 0,
    attributes: tuple[int, ...] = (),
) -> ServiceAnswer:
    request = ServiceRequest(
        Peer("PACS", "SHARE", "10.20.0.9"),
        field,
        service,
        service,
        uid,
        EXPLICIT_LE,
        action,
        attributes,
        dataset=b"" if dataset is None else encode(dataset, EXPLICIT_LE),
    )
    answered: asyncio.Future[ServiceAnswer] = asyncio.get_running_loop().create_future()
    box.serving.ask(request, answered.set_result)
    return await asyncio.wait_for(answered, 20)


# -- media creation ----------------------------------------------------------------------------------------------------


def burn(several: Iterable[Image], **attributes: str) -> Dataset:
    dataset = Dataset()
    dataset.ReferencedSOPSequence = [_reference(image) for image in several]
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


async def create(box: House, *several: Image, uid: str = REQUEST, **attributes: str) -> ServiceAnswer:
    return await ask(box, MEDIA_CREATION, CommandField.N_CREATE_RQ, uid, burn(several, **attributes))


async def initiate(box: House, *, uid: str = REQUEST, copies: int = 0, priority: str = "") -> ServiceAnswer:
    information = Dataset()
    if copies:
        information.NumberOfCopies = copies
    if priority:
        information.RequestPriority = priority
    return await ask(box, MEDIA_CREATION, CommandField.N_ACTION_RQ, uid, information if information else None, 1)


async def cancel(box: House, *, uid: str = REQUEST) -> ServiceAnswer:
    return await ask(box, MEDIA_CREATION, CommandField.N_ACTION_RQ, uid, None, 2)


async def progress(box: House, *, uid: str = REQUEST) -> Dataset:
    answer = await ask(box, MEDIA_CREATION, CommandField.N_GET_RQ, uid)
    assert answer.status == 0
    return decode(answer.dataset, EXPLICIT_LE)


async def until_told(box: House, status: str, *, step_s: float = 0.3, uid: str = REQUEST) -> Dataset:
    """The first answer with this Execution Status."""
    async with asyncio.timeout(20):
        while (told := await progress(box, uid=uid)).ExecutionStatus != status:
            await asyncio.sleep(0.01)
            box.clock.advance(step_s)
    return told


# -- announcements -----------------------------------------------------------------------------------------------------


async def announce(box: House, *several: Image, uid: str = NOTE, gone: Collection[Image] = ()) -> ServiceAnswer:
    dataset, series = Dataset(), Dataset()
    dataset.StudyInstanceUID, dataset.ReferencedPerformedProcedureStepSequence = several[0].study_uid, []
    series.SeriesInstanceUID = f"{several[0].study_uid}.1"
    series.ReferencedSOPSequence = [_reference(image) for image in several]
    for item, image in zip(series.ReferencedSOPSequence, several, strict=True):
        item.RetrieveAETitle, item.InstanceAvailability = "PACS", "UNAVAILABLE" if image in gone else "ONLINE"
    dataset.ReferencedSeriesSequence = [series]
    return await ask(box, AVAILABILITY_NOTIFICATION, CommandField.N_CREATE_RQ, uid, dataset)


async def begin_step(box: House, *study_uids: str, uid: str = STEP) -> ServiceAnswer:
    dataset = Dataset()
    dataset.PerformedProcedureStepStatus, dataset.PerformedSeriesSequence = "IN PROGRESS", []
    dataset.ScheduledStepAttributesSequence = []
    for study_uid in study_uids:
        scheduled = Dataset()
        scheduled.StudyInstanceUID = study_uid
        dataset.ScheduledStepAttributesSequence.append(scheduled)
    return await ask(box, PERFORMED_STEP, CommandField.N_CREATE_RQ, uid, dataset)


async def change_step(box: House, status: str = "", several: Iterable[Image] = (), uid: str = STEP) -> ServiceAnswer:
    dataset, series = Dataset(), Dataset()
    if status:
        dataset.PerformedProcedureStepStatus = status
    series.SeriesInstanceUID = "1.2.826.4711.65.1.1"
    series.ReferencedImageSequence = [_reference(image) for image in several]
    if series.ReferencedImageSequence:
        dataset.PerformedSeriesSequence = [series]
    return await ask(box, PERFORMED_STEP, CommandField.N_SET_RQ, uid, dataset)


def _reference(image: Image) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, image.uid
    return item


# -- workitems ---------------------------------------------------------------------------------------------------------


async def push(
    box: House, *several: Image, study_uid: str = "", uid: str = REQUEST, **attributes: str
) -> ServiceAnswer:
    """A workitem whose input is these instances, or a whole study."""
    dataset, inputs = Dataset(), Dataset()
    dataset.ProcedureStepState, dataset.ProcedureStepLabel = "SCHEDULED", "Share with the patient"
    inputs.StudyInstanceUID = study_uid or several[0].study_uid
    inputs.ReferencedSOPSequence = [_reference(image) for image in several]
    dataset.InputInformationSequence = [inputs]
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return await ask(box, UPS_PUSH, CommandField.N_CREATE_RQ, uid, dataset)


async def workitem(box: House, *, uid: str = REQUEST) -> Dataset:
    answer = await ask(box, UPS_PUSH, CommandField.N_GET_RQ, uid)
    assert answer.status == 0
    return decode(answer.dataset, EXPLICIT_LE)


async def until_step(box: House, state: str, *, uid: str = REQUEST) -> Dataset:
    async with asyncio.timeout(20):
        while (told := await workitem(box, uid=uid)).ProcedureStepState != state:
            await asyncio.sleep(0.01)
            box.clock.advance(0.3)
    return told


async def ask_to_cancel(box: House, information: Dataset | None = None) -> ServiceAnswer:
    return await ask(box, UPS_PUSH, CommandField.N_ACTION_RQ, REQUEST, information, 2)


async def act(box: House, action: int, *, uid: str = REQUEST, receiver: str = "", service: str = UPS_PUSH) -> int:
    information = Dataset()
    if receiver:
        information.ReceivingAE, information.DeletionLock = receiver, "FALSE"
    return (await ask(box, service, CommandField.N_ACTION_RQ, uid, information, action)).status
