"""The acceptor's side of the DICOM upper layer (PS3.8 section 9.2) as a machine without I/O.

Bytes go in with `receive`, events come out; what to send is returned by the methods that decide. Fragments of P-DATA
are handed out as they arrive, without waiting for the end of their PDU, so a PDU may be of any length and nothing is
copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from appliance.dicom import pdu
from appliance.dicom.pdu import AcceptedContext, AssociateRequest, PduType, Rejection
from appliance.errors import ProtocolError

MAX_REQUEST_BYTES = 128 * 1024  # 128 contexts with every transfer syntax are under 64 KiB
MAX_CONTROL_BYTES = 1024  # the other PDUs are 4 bytes; slack for odd peers
PDU_HEADER_BYTES = 6
PDV_HEADER_BYTES = 6
MAX_SENT_BYTES = 64 * 1024  # of a P-DATA-TF of ours, whatever the requestor would take
MIN_SENT_BYTES = 512  # nobody means less, and a PDU for each byte would be a burden to both


class State(Enum):
    """PS3.8 table 9-1 to 9-5, as far as an acceptor goes through them."""

    AWAITING_REQUEST = "Sta2"
    AWAITING_DECISION = "Sta3"
    ESTABLISHED = "Sta6"
    AWAITING_RELEASE_DECISION = "Sta8"
    AWAITING_CLOSE = "Sta13"


class AssociationRequested(NamedTuple):
    request: AssociateRequest


class Fragment(NamedTuple):
    """Part of a PDV. `value` is a view into the reception buffer: copy it before the next `receive`."""

    context_id: int
    is_command: bool
    is_last: bool  # the last fragment of the message, and `value` its last bytes
    value: memoryview


class ReleaseRequested(NamedTuple):
    pass


class Aborted(NamedTuple):
    source: int
    reason: int


Event = AssociationRequested | Fragment | ReleaseRequested | Aborted


class UpperLayer:
    """One association, seen by the acceptor."""

    def __init__(self, maximum_length: int) -> None:
        self.state = State.AWAITING_REQUEST
        self._maximum_length = maximum_length  # bytes that we announced for P-DATA-TF
        self._request: AssociateRequest | None = None
        self._held = bytearray()  # an incomplete header or control PDU
        self._pdu_left = 0  # bytes of the current P-DATA-TF not yet seen
        self._pdv_left = 0  # bytes of the current PDV's value not yet seen
        self._context_id = 0
        self._control = 0  # message control header, PS3.8 annex E.2

    def receive(self, data: memoryview) -> Iterator[Event]:
        """Events in `data`, in order. ProtocolError when the peer broke the protocol: send `abort()` and close.

        After our last word whatever comes is dropped unread (PS3.8 AA-6); the peer's end, or ARTIM, closes.
        """
        try:
            yield from self._read(data)
        except ProtocolError:
            # Else a refused header would be waited for, and held, to its end: up to 4 GiB if somebody went on reading.
            self._held.clear()
            self._pdu_left = self._pdv_left = 0
            raise

    def _read(self, data: memoryview) -> Iterator[Event]:
        position, end = 0, len(data)
        while position < end and self.state is not State.AWAITING_CLOSE:
            if self._pdv_left:
                take = min(self._pdv_left, end - position)
                yield self._fragment(data[position : position + take])
                position += take
            elif self._pdu_left:
                position, complete = self._read_pdv_header(data, position)
                if complete and not self._pdv_left:  # an empty value still ends its message
                    yield self._fragment(data[:0])
            else:
                position, event = self._read_pdu(data, position)
                if event is not None:
                    yield event

    def _fragment(self, value: memoryview) -> Fragment:
        self._pdv_left -= len(value)
        self._pdu_left -= len(value)
        last = bool(self._control & 2) and self._pdv_left == 0
        return Fragment(self._context_id, bool(self._control & 1), last, value)

    def _fill(self, data: memoryview, position: int, size: int) -> int:
        """Hold bytes until there are `size`; the new position."""
        take = min(size - len(self._held), len(data) - position)
        self._held += data[position : position + take]
        return position + take

    def _read_pdv_header(self, data: memoryview, position: int) -> tuple[int, bool]:
        position = self._fill(data, position, PDV_HEADER_BYTES)
        if len(self._held) < PDV_HEADER_BYTES:
            return position, False
        length = int.from_bytes(self._held[:4], "big")
        # PS3.8 section 9.3.5.1: the length counts the context id and the control header.
        if length < 2 or length + 4 > self._pdu_left:
            raise ProtocolError("a presentation data value is longer than its PDU")
        self._context_id, self._control = self._held[4], self._held[5]
        self._pdv_left = length - 2
        self._pdu_left -= PDV_HEADER_BYTES
        self._held.clear()
        return position, True

    def _read_pdu(self, data: memoryview, position: int) -> tuple[int, Event | None]:
        if len(self._held) < PDU_HEADER_BYTES:
            position = self._fill(data, position, PDU_HEADER_BYTES)
            if len(self._held) < PDU_HEADER_BYTES:
                return position, None
            self._check_header(self._held[0], int.from_bytes(self._held[2:6], "big"))
            if self._pdu_left:
                self._held.clear()
                return position, None
        size = PDU_HEADER_BYTES + int.from_bytes(self._held[2:6], "big")
        position = self._fill(data, position, size)
        if len(self._held) < size:
            return position, None
        whole = bytes(self._held)
        self._held.clear()
        return position, self._control_event(whole)

    def _check_header(self, pdu_type: int, length: int) -> None:
        """Refuse a PDU by its first six bytes, before anything is kept of it (PS3.8 table 9-10, AA-1 and AA-8)."""
        if pdu_type == PduType.P_DATA and self.state is State.ESTABLISHED:
            if length > self._maximum_length or length < PDV_HEADER_BYTES:
                raise ProtocolError("a P-DATA-TF PDU is longer than this box announced, or too short for a value")
            self._pdu_left = length
            return
        allowed = {
            State.AWAITING_REQUEST: {PduType.ASSOCIATE_RQ, PduType.ABORT},
            State.AWAITING_DECISION: {PduType.ABORT},
            State.ESTABLISHED: {PduType.RELEASE_RQ, PduType.ABORT},
            State.AWAITING_RELEASE_DECISION: {PduType.ABORT},
        }[self.state]
        if pdu_type not in allowed:
            raise ProtocolError(f"PDU type {pdu_type:#04x} came in state {self.state.value}")
        limit = MAX_REQUEST_BYTES if pdu_type == PduType.ASSOCIATE_RQ else MAX_CONTROL_BYTES
        if length > limit or length < 4:
            raise ProtocolError("a PDU of an impossible length came")

    def _control_event(self, whole: bytes) -> Event:
        if whole[0] == PduType.ASSOCIATE_RQ:
            self._request = pdu.decode_associate_rq(whole)
            self.state = State.AWAITING_DECISION
            return AssociationRequested(self._request)
        if whole[0] == PduType.RELEASE_RQ:
            self.state = State.AWAITING_RELEASE_DECISION
            return ReleaseRequested()
        self._close()
        return Aborted(whole[8], whole[9])

    def accept(self, contexts: tuple[AcceptedContext, ...]) -> bytes:
        """A-ASSOCIATE-AC (AE-7)."""
        if self.state is not State.AWAITING_DECISION or self._request is None:
            raise ProtocolError("there is no association request to accept")
        self.state = State.ESTABLISHED
        return pdu.encode_associate_ac(self._request, contexts, self._maximum_length)

    def reject(self, rejection: Rejection) -> bytes:
        """A-ASSOCIATE-RJ (AE-8)."""
        self._close()
        return rejection.encode()

    def release(self) -> bytes:
        """A-RELEASE-RP (AR-4)."""
        self._close()
        return pdu.RELEASE_RP

    def abort(self, reason: int = 0) -> bytes:
        """A-ABORT by the provider (AA-8)."""
        self._close()
        return pdu.abort(2, reason)

    def _close(self) -> None:
        self.state = State.AWAITING_CLOSE
        self._held.clear()


def pdata(context_id: int, command: bytes) -> bytes:
    """One P-DATA-TF PDU with one whole command: what answers a request."""
    return _pdata(context_id, 0x03, command)


def pdata_with_dataset(context_id: int, command: bytes, dataset: bytes, maximum_length: int) -> bytes:
    """P-DATA-TF PDUs of at most `maximum_length` bytes, as the requestor announced it (0: no limit)."""
    size = min(max(maximum_length, MIN_SENT_BYTES), MAX_SENT_BYTES) if maximum_length else MAX_SENT_BYTES
    size -= PDV_HEADER_BYTES
    pdus = [pdata(context_id, command)]
    for start in range(0, len(dataset), size):
        last = 0x02 if start + size >= len(dataset) else 0x00  # message control header, PS3.8 annex E.2
        pdus.append(_pdata(context_id, last, dataset[start : start + size]))
    return b"".join(pdus)


def _pdata(context_id: int, control: int, value: bytes) -> bytes:
    size = len(value) + 2
    return b"".join(
        (
            bytes((PduType.P_DATA, 0)),
            (size + 4).to_bytes(4, "big"),
            size.to_bytes(4, "big"),
            bytes((context_id, control)),
            value,
        )
    )
