"""Tells subscribers of workitems what became of them: N-EVENT-REPORT, SOP class UPS Event (PS3.4 CC.2.4).

The box calls, and is the provider all the same. One association, one report after the other, plain TCP; nothing is
loaded for it and no thread waits.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping, Sequence

from appliance.dicom import dimse, pdu, workitem
from appliance.dicom.dimse import Assembler, CommandField, CommandReceived
from appliance.dicom.negotiation import IMPLICIT_LE, UPS_EVENT, UPS_PUSH
from appliance.dicom.pdu import PduType
from appliance.dicom.upper_layer import Fragment, pdata_with_dataset
from appliance.errors import ProtocolError, ReceiverUnreachableError
from appliance.ports import ProgressReport, Report, StateReport

WITHIN_S = 10.0  # all of it
LONGEST_PDU_BYTES = 1 << 17  # of an answer; we announce an eighth
CONTEXT_ID = 1
PDU_HEADER_BYTES, PDV_HEADER_BYTES = 6, 6


class EventReporter:
    """The port `Reporter`."""

    def __init__(self, receivers: Mapping[str, tuple[str, int]], calling: str, within_s: float = WITHIN_S) -> None:
        """`receivers`: host and port of each AE title that can be called."""
        self._receivers = receivers
        self._calling = calling
        self._within_s = within_s

    async def report(self, receiver: str, reports: Sequence[Report]) -> None:
        host, port = self._receivers.get(receiver, ("", 0))
        if not host:
            raise ReceiverUnreachableError(f"{receiver} is no [[dicom.peer]] with a port")
        try:
            async with asyncio.timeout(self._within_s):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    await self._converse(reader, writer, receiver, reports)
                finally:
                    writer.transport.abort()
        except TimeoutError:
            raise ReceiverUnreachableError(f"{receiver} does not answer a report on a workitem") from None
        except (OSError, asyncio.IncompleteReadError):
            raise ReceiverUnreachableError(
                f"nobody takes the connection to {receiver}, or ends it amid a report"
            ) from None
        except ProtocolError as error:
            raise ReceiverUnreachableError(f"{receiver} speaks no DICOM: {error.summary}") from None

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: str, reports: Sequence[Report]
    ) -> None:
        writer.write(pdu.encode_associate_rq(self._calling, receiver, CONTEXT_ID, UPS_EVENT, IMPLICIT_LE, as_scp=True))
        answer = await _read_pdu(reader)
        if answer[0] == PduType.ASSOCIATE_RJ:
            raise ReceiverUnreachableError(f"{receiver} refuses the association of {self._calling}")
        if answer[0] != PduType.ASSOCIATE_AC:
            raise ProtocolError("it answers something else than an association")
        accepted, maximum_length = pdu.decode_associate_ac(answer)
        if CONTEXT_ID not in accepted:
            raise ReceiverUnreachableError(f"{receiver} takes no reports on workitems (UPS Event)")
        for number, report in enumerate(reports, start=1):
            event_type, dataset = _encoded(report)
            command = dimse.event_report(number, UPS_PUSH, report.workitem_uid, event_type)
            writer.write(pdata_with_dataset(CONTEXT_ID, command, dataset, maximum_length))
            await _answered(reader, number)
        writer.write(pdu.RELEASE_RQ)
        await _read_pdu(reader)


def _encoded(report: Report) -> tuple[int, bytes]:
    """Its event type, and the Event Information."""
    if isinstance(report, StateReport):
        dataset = workitem.encode_state_report(report.state, report.readiness, report.reason, IMPLICIT_LE)
        return workitem.STATE_REPORT, dataset
    if isinstance(report, ProgressReport):
        dataset = workitem.encode_progress_report(report.percent, report.description, IMPLICIT_LE)
        return workitem.PROGRESS_REPORT, dataset
    return (
        workitem.CANCEL_REQUESTED,
        workitem.encode_cancel_requested(report.requesting_ae, report.asked, IMPLICIT_LE),
    )


async def _answered(reader: asyncio.StreamReader, number: int) -> None:
    """Whatever its status: the receiver has been told, and what it makes of that is its own (CC.2.4.2)."""
    assembler, command, whole = Assembler(), None, False
    while not whole:
        answer = await _read_pdu(reader)
        if answer[0] != PduType.P_DATA:
            raise ProtocolError("it ends the association instead of answering a report")
        for message in map(assembler.take, _fragments(answer)):
            if isinstance(message, CommandReceived):
                command = message.command
                whole = not command.has_dataset
            elif message is not None:
                whole = message.is_last
    if command is None or (command.field, command.message_id) != (CommandField.N_EVENT_REPORT_RSP, number):
        raise ProtocolError("it answers something else than a report")


def _fragments(whole: bytes) -> list[Fragment]:
    """Presentation data values of a P-DATA-TF (PS3.8 section 9.3.5)."""
    found, at = [], PDU_HEADER_BYTES
    while at < len(whole):
        if at + PDV_HEADER_BYTES > len(whole):
            raise ProtocolError("a presentation data value is cut short")
        length, context_id, control = struct.unpack_from(">IBB", whole, at)
        end = at + 4 + length
        if length < 2 or end > len(whole):
            raise ProtocolError("a presentation data value is longer than its PDU")
        value = memoryview(whole)[at + PDV_HEADER_BYTES : end]
        found.append(Fragment(context_id, bool(control & 1), bool(control & 2), value))
        at = end
    return found


async def _read_pdu(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(PDU_HEADER_BYTES)
    length = int.from_bytes(head[2:], "big")
    if length > LONGEST_PDU_BYTES:
        raise ProtocolError("a PDU is longer than the box announced")
    return head + await reader.readexactly(length)
