"""DIMSE messages (PS3.7): command sets to values and back, and messages put together from fragments.

Command sets are implicit VR little endian, group 0000 (PS3.7 section 6.3.1). Datasets pass through as they come; those
of services are collected.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from appliance.dicom.upper_layer import Fragment
from appliance.errors import ProtocolError

MAX_COMMAND_BYTES = 64 * 1024
MAX_DATASET_BYTES = 4 << 20  # of a request to a service, whose dataset is kept in memory
MAX_DATASETS_BYTES = 32 << 20  # of all requests together; one for a CT of 1,000 images has 0.1 MiB
NO_DATASET = 0x0101
ANY_DATASET = 0x0001


class CommandField(IntEnum):
    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    N_EVENT_REPORT_RQ = 0x0100
    N_EVENT_REPORT_RSP = 0x8100
    N_GET_RQ = 0x0110
    N_GET_RSP = 0x8110
    N_SET_RQ = 0x0120
    N_SET_RSP = 0x8120
    N_ACTION_RQ = 0x0130
    N_ACTION_RSP = 0x8130
    N_CREATE_RQ = 0x0140
    N_CREATE_RSP = 0x8140
    C_CANCEL_RQ = 0x0FFF


class Status(IntEnum):
    """Of any service (PS3.7 annex C), then those of one."""

    SUCCESS = 0x0000
    INVALID_ATTRIBUTE_VALUE = 0x0106
    PROCESSING_FAILURE = 0x0110  # of a performed procedure step: it may no longer be updated (PS3.4 F.7.2.2.2)
    DUPLICATE_SOP_INSTANCE = 0x0111
    NO_SUCH_SOP_INSTANCE = 0x0112
    INVALID_ARGUMENT_VALUE = 0x0115
    NO_SUCH_SOP_CLASS = 0x0118
    MISSING_ATTRIBUTE = 0x0120
    MISSING_ATTRIBUTE_VALUE = 0x0121
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION = 0x0123
    UNRECOGNIZED_OPERATION = 0x0211
    RESOURCE_LIMITATION = 0x0213

    OUT_OF_RESOURCES = 0xA700  # storage, PS3.4 B.2.3: the sender may try again
    CANNOT_UNDERSTAND = 0xC000

    OPTIONAL_ATTRIBUTES_NOT_SUPPORTED = 0x0001  # a warning of N-GET: PS3.4 S.3.2.4.4, CC.2.7.4

    ALREADY_INITIATED = 0xA510  # media creation, PS3.4 S.3.2.1.4: of an N-CREATE
    ALREADY_COMPLETED = 0xC201  # PS3.4 S.3.2.3.4
    NOT_INTERRUPTIBLE = 0xC202

    UPS_NO_DELETION_LOCK = 0xB301  # workitems, PS3.4 annex CC: a warning, and the next one too
    UPS_ALREADY_CANCELED = 0xB304
    UPS_NO_SUCH_INSTANCE = 0xC307
    UPS_RECEIVER_UNKNOWN = 0xC308
    UPS_NOT_SCHEDULED = 0xC309
    UPS_ALREADY_COMPLETED = 0xC311
    UPS_NOT_CANCELLED = 0xC313  # the performer chooses so
    UPS_ACTION_NOT_APPROPRIATE = 0xC314


@dataclass(frozen=True)
class Command:
    """The elements of a command set that this box acts on (PS3.7 annex E.1)."""

    field: int
    message_id: int  # of a response: of the request that it answers
    sop_class_uid: str
    sop_instance_uid: str
    has_dataset: bool
    action_type: int = 0  # of an N-ACTION-RQ
    attributes: tuple[int, ...] = ()  # tags that an N-GET-RQ asks for
    status: int = 0  # of a response


class CommandReceived(NamedTuple):
    context_id: int
    command: Command


class DatasetFragment(NamedTuple):
    context_id: int
    value: memoryview
    is_last: bool


Message = CommandReceived | DatasetFragment


class Assembler:
    """Puts commands together; lets dataset fragments through. One message at a time, as PS3.7 section 9 has it."""

    def __init__(self) -> None:
        self._command = bytearray()
        self._command_context = 0  # of the command that is incomplete
        self._dataset_context: int | None = None  # the context whose dataset is due

    def take(self, fragment: Fragment) -> Message | None:
        """A whole command, a piece of a dataset, or None while a command is incomplete."""
        if fragment.is_command:
            return self._take_command(fragment)
        if self._dataset_context != fragment.context_id:
            raise ProtocolError("a dataset came without a command that announces it")
        if fragment.is_last:
            self._dataset_context = None
        return DatasetFragment(fragment.context_id, fragment.value, fragment.is_last)

    def _take_command(self, fragment: Fragment) -> Message | None:
        if self._dataset_context is not None:
            raise ProtocolError("a command came in the middle of a dataset")
        if self._command and self._command_context != fragment.context_id:
            raise ProtocolError("a command came in pieces of two presentation contexts")
        self._command_context = fragment.context_id
        self._command += fragment.value
        if len(self._command) > MAX_COMMAND_BYTES:
            raise ProtocolError("a command set is too long")
        if not fragment.is_last:
            return None
        command = decode_command(bytes(self._command))
        self._command.clear()
        if command.has_dataset:
            self._dataset_context = fragment.context_id
        return CommandReceived(fragment.context_id, command)


class DatasetMemory:
    """What datasets of requests take, of all associations together: each alone is bounded, and many come at once."""

    def __init__(self, most: int = MAX_DATASETS_BYTES) -> None:
        self.free = most  # bytes

    def take(self, size: int) -> bool:
        """Whether there is room for so many bytes more."""
        if size > self.free:
            return False
        self.free -= size
        return True

    def give_back(self, size: int) -> None:
        self.free += size


class DatasetCollector:
    """The dataset of a request to a service, put together. Of one that is too long nothing is kept.

    It takes of the memory until it is `dropped`, when the request is answered or its association has ended.
    """

    def __init__(self, memory: DatasetMemory) -> None:
        self.too_long = False
        self._memory = memory
        self._held = 0  # bytes of it
        self._value = bytearray()

    def write(self, value: memoryview) -> None:
        if self.too_long:
            return
        if len(self._value) + len(value) > MAX_DATASET_BYTES or not self._memory.take(len(value)):
            self.too_long = True
            self.drop()
        else:
            self._held += len(value)
            self._value += value

    def hand_over(self) -> bytes:
        """All of it, once; it still takes of the memory."""
        value, self._value = bytes(self._value), bytearray()
        return value

    def drop(self) -> None:
        self._memory.give_back(self._held)
        self._held, self._value = 0, bytearray()


# PS3.7 annex E.1: these name the *requested* class and instance, all other commands the affected ones.
_REQUESTED = frozenset((CommandField.N_GET_RQ, CommandField.N_SET_RQ, CommandField.N_ACTION_RQ))


def decode_command(data: bytes) -> Command:
    """ProtocolError when the command set is truncated or lacks what every command has."""
    elements: dict[int, bytes] = {}
    position, end = 0, len(data)
    while position < end:
        if position + 8 > end:
            raise ProtocolError("a command set is truncated")
        group, element, length = struct.unpack_from("<HHI", data, position)
        position += 8
        if group != 0 or position + length > end:
            raise ProtocolError("a command set holds what does not belong there")
        elements[element] = data[position : position + length]
        position += length
    field = _ushort(elements, 0x0100)
    requested = field in _REQUESTED
    is_action = field == CommandField.N_ACTION_RQ
    return Command(
        field=field,
        message_id=_ushort(elements, 0x0110 if 0x0110 in elements else 0x0120),
        sop_class_uid=_uid(elements, 0x0003 if requested else 0x0002),
        sop_instance_uid=_uid(elements, 0x1001 if requested else 0x1000),
        has_dataset=_ushort(elements, 0x0800) != NO_DATASET,
        action_type=_ushort(elements, 0x1008) if is_action and 0x1008 in elements else 0,
        attributes=_tags(elements.get(0x1005, b"")) if field == CommandField.N_GET_RQ else (),
        status=_ushort(elements, 0x0900) if 0x0900 in elements else 0,
    )


def _tags(value: bytes) -> tuple[int, ...]:
    """Attribute Identifier List, AT: pairs of group and element."""
    if len(value) % 4:
        raise ProtocolError("a command set has no valid (0000,1005)")
    return tuple(group << 16 | element for group, element in struct.iter_unpack("<HH", value))


def _ushort(elements: dict[int, bytes], element: int) -> int:
    value = elements.get(element, b"")
    if len(value) != 2:
        raise ProtocolError(f"a command set has no valid (0000,{element:04X})")
    return int.from_bytes(value, "little")


def _uid(elements: dict[int, bytes], element: int) -> str:
    value = elements.get(element, b"").rstrip(b"\0 ")
    return value.decode("ascii", "replace")  # whole, although it may be invalid: cut, two could become one


def response(request: Command, field: int, status: int, comment: str = "", *, has_dataset: bool = False) -> bytes:
    """The command set that answers `request` (PS3.7 9.3.1.2, 9.3.5.2, 10.3.2-5); `comment` is (0000,0902), LO."""
    parts = [_element(0x0002, _pad(request.sop_class_uid))] if request.sop_class_uid else []
    parts += [
        _element(0x0100, struct.pack("<H", field)),
        _element(0x0120, struct.pack("<H", request.message_id)),
        _element(0x0800, struct.pack("<H", ANY_DATASET if has_dataset else NO_DATASET)),
        _element(0x0900, struct.pack("<H", status)),
    ]
    if comment:
        parts.append(_element(0x0902, _pad(comment[:64], b" ")))
    if request.sop_instance_uid:
        parts.append(_element(0x1000, _pad(request.sop_instance_uid)))
    if request.action_type:
        parts.append(_element(0x1008, struct.pack("<H", request.action_type)))
    return _command_set(parts)


def echo_request(message_id: int) -> bytes:
    """The command set of a C-ECHO-RQ (PS3.7 section 9.3.5.1)."""
    return _command_set(
        [
            _element(0x0002, _pad("1.2.840.10008.1.1")),
            _element(0x0100, struct.pack("<H", CommandField.C_ECHO_RQ)),
            _element(0x0110, struct.pack("<H", message_id)),
            _element(0x0800, struct.pack("<H", NO_DATASET)),
        ]
    )


def event_report(message_id: int, sop_class_uid: str, sop_instance_uid: str, event_type: int) -> bytes:
    """The command set of an N-EVENT-REPORT-RQ with a dataset (PS3.7 section 10.3.1.1)."""
    return _command_set(
        [
            _element(0x0002, _pad(sop_class_uid)),
            _element(0x0100, struct.pack("<H", CommandField.N_EVENT_REPORT_RQ)),
            _element(0x0110, struct.pack("<H", message_id)),
            _element(0x0800, struct.pack("<H", ANY_DATASET)),
            _element(0x1000, _pad(sop_instance_uid)),
            _element(0x1002, struct.pack("<H", event_type)),
        ]
    )


def _command_set(parts: list[bytes]) -> bytes:
    body = b"".join(parts)
    return _element(0x0000, struct.pack("<I", len(body))) + body


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, element, len(value)) + value


def _pad(text: str, padding: bytes = b"\0") -> bytes:
    value = text.encode("ascii", "replace")
    return value + padding if len(value) % 2 else value
