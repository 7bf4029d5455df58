"""Reports on workitems to an independent application entity that listens for them, and to what is none."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import UnifiedProcedureStepEvent, Verification  # type: ignore[attr-defined]

from appliance.adapters.event_reporter import EventReporter
from appliance.dicom.negotiation import UPS_PUSH
from appliance.dicom.workitem import Cancellation, Code, Readiness, StepState
from appliance.errors import ReceiverUnreachableError
from appliance.ports import CancelRequested, ProgressReport, StateReport

SCHEDULED = StateReport("1.2.3", StepState.SCHEDULED, Readiness.INCOMPLETE)
CANCELED = StateReport("1.2.3", StepState.CANCELED, Readiness.READY, "für niemanden")
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Ris:
    """Listens for reports, and takes them from BOX only."""

    def __init__(self, context: str = UnifiedProcedureStepEvent, status: int = 0, maximum: int = 16382) -> None:
        self.heard: list[tuple[str, str, int, Dataset]] = []
        self.roles: list[tuple[bool | None, bool | None]] = []
        self._status = status
        ae = AE("RIS")
        ae.maximum_pdu_size = maximum
        ae.add_supported_context(context, scu_role=False, scp_role=True)
        ae.require_calling_aet, ae.require_called_aet = ["BOX"], True
        self._server: Any = ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._hear)]
        )

    def _hear(self, event: Any) -> tuple[int, None]:
        asked = event.request
        self.heard.append(
            (asked.AffectedSOPClassUID, asked.AffectedSOPInstanceUID, asked.EventTypeID, event.event_information)
        )
        self.roles += [(one.scu_role, one.scp_role) for one in event.assoc.requestor.role_selection.values()]
        return self._status, None

    @property
    def reporter(self) -> EventReporter:
        return EventReporter({"RIS": ("127.0.0.1", self._server.server_address[1])}, "BOX", 5.0)

    def stop(self) -> None:
        self._server.shutdown()


@pytest.fixture
def listening() -> Iterator[Callable[..., Ris]]:
    started: list[Ris] = []

    def start(**how: Any) -> Ris:
        started.append(Ris(**how))
        return started[-1]

    yield start
    for one in started:
        one.stop()


async def test_a_subscriber_hears_each_state_in_its_order(listening: Callable[..., Ris]) -> None:
    ris = listening()
    await ris.reporter.report("RIS", [SCHEDULED, CANCELED])
    assert [heard[:3] for heard in ris.heard] == [(UPS_PUSH, "1.2.3", 1)] * 2
    first, second = (heard[3] for heard in ris.heard)
    assert (first.ProcedureStepState, first.InputReadinessState) == ("SCHEDULED", "INCOMPLETE")
    assert (second.ProcedureStepState, second.ReasonForCancellation) == ("CANCELED", "für niemanden")
    assert ris.roles[0] == (False, True)  # the box calls, and is the provider


async def test_a_subscriber_hears_how_far_it_is(listening: Callable[..., Ris]) -> None:
    ris = listening()
    await ris.reporter.report("RIS", [ProgressReport("1.2.3", 40, "212 of 530 images are here")])
    ((*command, dataset),) = ris.heard
    assert command == [UPS_PUSH, "1.2.3", 3]
    (told,) = dataset.ProcedureStepProgressInformationSequence
    assert (told.ProcedureStepProgress, told.ProcedureStepProgressDescription) == (40, "212 of 530 images are here")


async def test_a_subscriber_hears_who_asked_for_its_end_and_all_that_was_said(listening: Callable[..., Ris]) -> None:
    ris = listening()
    why = Cancellation("für niemanden", (Code("110513", "DCM", "Unspecified", "01"),), "tel:+12025550100", "Ward 3")
    await ris.reporter.report("RIS", [CancelRequested("1.2.3", "PORTAL", why)])
    ((*command, dataset),) = ris.heard
    assert command == [UPS_PUSH, "1.2.3", 2]
    assert (dataset.RequestingAE, dataset.ReasonForCancellation) == ("PORTAL", "für niemanden")
    assert (dataset.ContactURI, dataset.ContactDisplayName) == ("tel:+12025550100", "Ward 3")
    (code,) = dataset.ProcedureStepDiscontinuationReasonCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodingSchemeVersion) == ("110513", "DCM", "01")


async def test_what_was_not_said_is_not_told(listening: Callable[..., Ris]) -> None:
    ris = listening()
    await ris.reporter.report("RIS", [CancelRequested("1.2.3", "PORTAL", Cancellation("", ()))])
    assert [element.keyword for element in ris.heard[0][3]] == ["RequestingAE"]


async def test_a_report_comes_in_pdus_that_the_subscriber_takes(listening: Callable[..., Ris]) -> None:
    ris = listening(maximum=600)
    long = StateReport("1.2.3", StepState.CANCELED, Readiness.READY, "x" * 5000)
    await ris.reporter.report("RIS", [long])
    assert ris.heard[0][3].ReasonForCancellation == "x" * 5000


async def test_a_subscriber_that_does_not_like_it_has_been_told(listening: Callable[..., Ris]) -> None:
    await listening(status=0x0112).reporter.report("RIS", [SCHEDULED])


async def test_who_takes_no_reports_is_not_reached(listening: Callable[..., Ris]) -> None:
    ris = listening(context=Verification)
    with pytest.raises(ReceiverUnreachableError, match="UPS Event"):
        await ris.reporter.report("RIS", [SCHEDULED])


async def test_who_does_not_know_the_box_is_not_reached(listening: Callable[..., Ris]) -> None:
    ris = listening()
    reporter = EventReporter(ris.reporter._receivers, "STRANGER")
    with pytest.raises(ReceiverUnreachableError, match="refuses the association of STRANGER"):
        await reporter.report("RIS", [SCHEDULED])


async def test_who_is_not_in_the_settings_is_not_called() -> None:
    with pytest.raises(ReceiverUnreachableError, match=r"\[\[dicom.peer\]\]"):
        await EventReporter({}, "BOX").report("RIS", [SCHEDULED])


# -- what is no receiver -----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def answering(talk: Talk) -> AsyncIterator[EventReporter]:
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.read(1000)
            await talk(reader, writer)
        writer.close()
        over.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield EventReporter({"RIS": server.sockets[0].getsockname()[:2]}, "BOX", within_s=0.5)
        await asyncio.wait_for(over.wait(), 20)


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


ACCEPTED = item(0x21, bytes((1, 0, 0, 0)) + item(0x40, b"1.2.840.10008.1.2"))
AC_BODY = struct.pack(">Hxx", 1) + bytes(64) + ACCEPTED + item(0x50, item(0x51, bytes(4)))
AC = struct.pack(">BxI", 2, len(AC_BODY)) + AC_BODY


def pdv(control: int, value: bytes) -> bytes:
    return struct.pack(">BxIIBB", 4, len(value) + 6, len(value) + 2, 1, control) + value


def command(field: int, message_id: int) -> bytes:
    values = ((0x0100, field), (0x0120, message_id), (0x0800, 0x0101), (0x0900, 0))
    return b"".join(struct.pack("<HHIH", 0, tag, 2, value) for tag, value in values)


TALKS: dict[str, list[bytes]] = {
    "hangs up": [],
    "no DICOM": [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    "an endless PDU": [struct.pack(">BxI", 2, 0xFFFFFFFF)],
    "a broken acceptance": [struct.pack(">BxI", 2, 80) + bytes(68) + b"\x21\0\xff\xff" + bytes(8)],
    "an acceptance without anything": [struct.pack(">BxI", 2, 4) + bytes(4)],
    "no answer to the report": [AC],
    "an abort": [AC, struct.pack(">BxI4x", 7, 4)],
    "another answer": [AC, pdv(3, command(0x8001, 1))],
    "an answer to another report": [AC, pdv(3, command(0x8100, 2))],
    "a value longer than its PDU": [AC, struct.pack(">BxIIBB", 4, 10, 100, 1, 3) + bytes(4)],
    "half a value": [AC, struct.pack(">BxI", 4, 3) + bytes(3)],
}


@pytest.mark.parametrize("case", TALKS)
async def test_what_is_no_receiver_is_told_as_one_error(case: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for one in TALKS[case]:
            writer.write(one)
            await writer.drain()
            await reader.read(4000)

    async with answering(talk) as reporter:
        with pytest.raises(ReceiverUnreachableError):
            await reporter.report("RIS", [SCHEDULED])


async def test_an_answer_in_pieces_with_a_dataset_is_an_answer() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(AC)
        for number in (1, 2):
            answer = command(0x8100, number).replace(b"\1\1", b"\1\0")
            await reader.read(4000)
            writer.write(pdv(1, answer[:7]) + pdv(3, answer[7:]) + pdv(0, b"da") + pdv(2, b"ta"))
        await reader.read(4000)
        writer.write(struct.pack(">BxI4x", 6, 4))

    async with answering(talk) as reporter:
        await reporter.report("RIS", [SCHEDULED, CANCELED])


async def test_no_pdu_of_a_report_is_longer_than_the_subscriber_announced() -> None:
    lengths = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(AC.replace(item(0x51, bytes(4)), item(0x51, struct.pack(">I", 1000))))
        control = 0
        while control != 2:  # the dataset's last fragment
            length, control = struct.unpack(">2xI5xB", await reader.readexactly(12))
            await reader.readexactly(length - 6)
            lengths.append(length)
        writer.write(pdv(3, command(0x8100, 1)))
        await reader.read(4000)
        writer.write(struct.pack(">BxI4x", 6, 4))

    async with answering(talk) as reporter:
        await reporter.report("RIS", [StateReport("1.2.3", StepState.CANCELED, Readiness.READY, "x" * 5000)])
    assert max(lengths) == 1000
