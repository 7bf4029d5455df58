"""DIMSE messages, against pynetdicom and pydicom."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom import status
from pynetdicom.dimse_messages import C_CANCEL_RQ, C_ECHO_RQ, C_FIND_RQ, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_CANCEL, C_ECHO, C_FIND, C_STORE
from pynetdicom.dsutils import decode, encode

from appliance.dicom import dimse
from appliance.dicom.dimse import (
    MAX_COMMAND_BYTES,
    Assembler,
    Command,
    CommandField,
    CommandReceived,
    DatasetFragment,
    Status,
    decode_command,
    response,
)
from appliance.dicom.upper_layer import Fragment
from appliance.errors import ProtocolError

CT = "1.2.840.10008.5.1.4.1.1.2"


def store_rq(uid: str = "1.2.3.4", message_id: int = 7) -> bytes:
    primitive = C_STORE()
    primitive.MessageID, primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = message_id, CT, uid
    primitive.Priority, primitive.DataSet = 2, io.BytesIO(b"\0\0")
    return command_of(C_STORE_RQ(), primitive)


def echo_rq() -> bytes:
    primitive = C_ECHO()
    primitive.MessageID, primitive.AffectedSOPClassUID = 1, "1.2.840.10008.1.1"
    return command_of(C_ECHO_RQ(), primitive)


def command_of(message: object, primitive: object) -> bytes:
    message.primitive_to_message(primitive)
    return bytes(encode(message.command_set, is_implicit_vr=True, is_little_endian=True))


def element(tag: int, value: bytes, group: int = 0) -> bytes:
    return struct.pack("<HHI", group, tag, len(value)) + value


def fragment(value: bytes, context_id: int = 1, *, command: bool = True, last: bool = True) -> Fragment:
    return Fragment(context_id, command, last, memoryview(value))


# -- commands ------------------------------------------------------------------------------------------------------


def test_a_store_request_is_read_as_pynetdicom_wrote_it():
    assert decode_command(store_rq()) == Command(CommandField.C_STORE_RQ, 7, CT, "1.2.3.4", has_dataset=True)


def test_an_echo_request_is_read_as_pynetdicom_wrote_it():
    assert decode_command(echo_rq()) == Command(CommandField.C_ECHO_RQ, 1, "1.2.840.10008.1.1", "", has_dataset=False)


def test_a_find_request_is_read_so_that_it_can_be_refused():
    primitive = C_FIND()
    primitive.MessageID, primitive.AffectedSOPClassUID, primitive.Priority = 65535, "1.2.840.10008.5.1.4.1.2.2.1", 0
    primitive.Identifier = io.BytesIO(b"\0\0")
    command = decode_command(command_of(C_FIND_RQ(), primitive))
    assert (command.field, command.message_id, command.has_dataset) == (0x0020, 65535, True)


def test_a_cancel_names_the_message_that_it_cancels():
    primitive = C_CANCEL()
    primitive.MessageIDBeingRespondedTo = 9
    command = decode_command(command_of(C_CANCEL_RQ(), primitive))
    assert (command.field, command.message_id, command.has_dataset) == (CommandField.C_CANCEL_RQ, 9, False)


@pytest.mark.parametrize("uid", ["1.2.3", "1.2.34", "1." + "2" * 62])
def test_uids_of_even_and_odd_length_lose_their_padding_only(uid):
    assert decode_command(store_rq(uid)).sop_instance_uid == uid


MINIMUM = {0x0100: b"\1\0", 0x0110: b"\7\0", 0x0800: b"\0\0"}


def command_set(changes: dict[int, bytes | None]) -> bytes:
    return b"".join(element(tag, value) for tag, value in sorted((MINIMUM | changes).items()) if value is not None)


def test_uids_that_are_too_long_stay_two_when_they_are_two():
    one, other = ("1." + "2" * 70 + end for end in ("1", "2"))
    assert decode_command(command_set({0x1000: one.encode()})).sop_instance_uid == one
    assert decode_command(command_set({0x1000: other.encode()})).sop_instance_uid == other


@pytest.mark.parametrize("padding", [b"\0", b" ", b"\0\0", b""])
def test_what_senders_pad_a_uid_with_does_not_count(padding):
    assert decode_command(command_set({0x1000: b"1.2.3" + padding})).sop_instance_uid == "1.2.3"


def test_a_uid_of_foreign_bytes_is_text_all_the_same():
    assert decode_command(command_set({0x1000: b"1.2.\xff\xfe"})).sop_instance_uid == "1.2.\ufffd\ufffd"


@pytest.mark.parametrize("element_", sorted(MINIMUM))
@pytest.mark.parametrize("value", [None, b"", b"\1", b"\1\0\0\0"])
def test_a_command_without_what_every_command_has_is_refused(element_, value):
    with pytest.raises(ProtocolError):
        decode_command(command_set({element_: value}))


def test_a_command_cut_anywhere_is_refused():
    command = store_rq()
    for size in range(len(command) - 1):
        try:
            found = decode_command(command[:size])
        except ProtocolError:
            continue
        assert found.message_id == 7  # cut between two elements, with all that is needed


@pytest.mark.parametrize("length", [3, 1000, 2**31, 2**32 - 1])
def test_an_element_longer_than_its_command_is_refused(length):
    with pytest.raises(ProtocolError):
        decode_command(command_set({}) + struct.pack("<HHI", 0, 0x1000, length) + b"1.")


@pytest.mark.parametrize("group", [2, 8, 0x10, 0xFFFE])
def test_an_element_of_another_group_is_refused(group):
    with pytest.raises(ProtocolError):
        decode_command(command_set({}) + element(0x10, b"Rivers", group))


@settings(max_examples=1500)
@given(
    st.binary(max_size=120)
    | st.lists(st.tuples(st.sampled_from([0, 2, 0x100, 0x110, 0x120, 0x800, 0x1000]), st.binary(max_size=6)))
)
def test_garbage_is_a_broken_protocol_and_nothing_else_goes_wrong(value):
    data = value if isinstance(value, bytes) else b"".join(element(tag, inner) for tag, inner in value)
    try:
        command = decode_command(data)
    except ProtocolError:
        return
    response(command, CommandField.C_STORE_RSP, 0)


# -- messages ------------------------------------------------------------------------------------------------------


def test_a_store_is_its_command_and_then_its_dataset():
    assembler = Assembler()
    assert assembler.take(fragment(store_rq())) == CommandReceived(1, decode_command(store_rq()))
    first = assembler.take(fragment(b"da", command=False, last=False))
    second = assembler.take(fragment(b"ta", command=False))
    assert (first, second) == (DatasetFragment(1, b"da", False), DatasetFragment(1, b"ta", True))


def test_a_command_comes_in_any_fragments():
    command, assembler = store_rq(), Assembler()
    for n in range(len(command) - 1):
        assert assembler.take(fragment(command[n : n + 1], last=False)) is None
    assert assembler.take(fragment(command[-1:])) == CommandReceived(1, decode_command(command))


def test_a_command_may_end_with_an_empty_fragment():
    assembler = Assembler()
    assert assembler.take(fragment(echo_rq(), last=False)) is None
    assert assembler.take(fragment(b"")) == CommandReceived(1, decode_command(echo_rq()))


def test_messages_follow_one_another_on_any_context():
    assembler = Assembler()
    for context_id in (1, 3, 1):
        assert assembler.take(fragment(store_rq(), context_id)).context_id == context_id
        assert assembler.take(fragment(b"", context_id, command=False)) == DatasetFragment(context_id, b"", True)
        assert isinstance(assembler.take(fragment(echo_rq(), 5)), CommandReceived)


def test_a_command_amid_a_dataset_is_refused():
    assembler = Assembler()
    assembler.take(fragment(store_rq()))
    assembler.take(fragment(b"da", command=False, last=False))
    with pytest.raises(ProtocolError):
        assembler.take(fragment(echo_rq()))


def test_a_command_where_a_dataset_is_due_is_refused():
    assembler = Assembler()
    assembler.take(fragment(store_rq()))
    with pytest.raises(ProtocolError):
        assembler.take(fragment(echo_rq()))


def test_a_dataset_that_no_command_announced_is_refused():
    with pytest.raises(ProtocolError):
        Assembler().take(fragment(b"data", command=False))


def test_a_dataset_after_a_command_without_one_is_refused():
    assembler = Assembler()
    assembler.take(fragment(echo_rq()))
    with pytest.raises(ProtocolError):
        assembler.take(fragment(b"data", command=False))


def test_a_dataset_amid_an_unfinished_command_is_refused():
    assembler = Assembler()
    assembler.take(fragment(store_rq()[:10], last=False))
    with pytest.raises(ProtocolError):
        assembler.take(fragment(b"data", command=False))


def test_a_dataset_on_another_context_than_its_command_is_refused():
    assembler = Assembler()
    assembler.take(fragment(store_rq(), 1))
    with pytest.raises(ProtocolError):
        assembler.take(fragment(b"data", 3, command=False))


def test_a_second_dataset_for_one_command_is_refused():
    assembler = Assembler()
    assembler.take(fragment(store_rq()))
    assembler.take(fragment(b"data", command=False))
    with pytest.raises(ProtocolError):
        assembler.take(fragment(b"data", command=False))


def test_a_command_in_pieces_of_two_contexts_is_refused():
    assembler = Assembler()
    assembler.take(fragment(store_rq()[:10], 1, last=False))
    with pytest.raises(ProtocolError):
        assembler.take(fragment(store_rq()[10:], 3))


def test_a_command_that_never_ends_is_refused_before_it_fills_the_memory():
    assembler = Assembler()
    for _ in range(MAX_COMMAND_BYTES // 1024):
        assert assembler.take(fragment(bytes(1024), last=False)) is None
    with pytest.raises(ProtocolError):
        assembler.take(fragment(b"\0", last=False))


# -- answers -------------------------------------------------------------------------------------------------------

REQUEST = decode_command(store_rq())


SERVICES = (
    status.STORAGE_SERVICE_CLASS_STATUS,
    status.MEDIA_CREATION_MANAGEMENT_SERVICE_CLASS_STATUS,
    status.UNIFIED_PROCEDURE_STEP_SERVICE_CLASS_STATUS,
)


@pytest.mark.parametrize("found", list(Status))
def test_statuses_are_those_of_the_standard(found):
    assert any(found in of_service for of_service in SERVICES)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("comment", ["", "box is full, try again later", "odd"])
def test_pydicom_reads_our_answer(status, comment):
    data = decode(io.BytesIO(response(REQUEST, CommandField.C_STORE_RSP, status, comment)), True, True)
    assert (data.CommandField, data.MessageIDBeingRespondedTo, data.Status) == (0x8001, 7, status)
    assert (data.AffectedSOPClassUID, data.AffectedSOPInstanceUID) == (CT, "1.2.3.4")
    assert data.CommandDataSetType == dimse.NO_DATASET
    assert data.get("ErrorComment", "") == comment
    assert data.CommandGroupLength == len(response(REQUEST, CommandField.C_STORE_RSP, status, comment)) - 12


def test_pynetdicom_takes_our_answer_for_a_valid_one():
    message = C_STORE_RSP()
    message.command_set = decode(io.BytesIO(response(REQUEST, CommandField.C_STORE_RSP, 0)), True, True)
    primitive = message.message_to_primitive()
    assert primitive.is_valid_response
    assert (primitive.MessageIDBeingRespondedTo, primitive.Status) == (7, 0)


def test_an_answer_to_an_echo_names_no_instance():
    data = decode(io.BytesIO(response(decode_command(echo_rq()), CommandField.C_ECHO_RSP, 0)), True, True)
    assert "AffectedSOPInstanceUID" not in data
    assert data.CommandField == 0x8030


@given(st.text(max_size=100), st.text("0123456789.", max_size=70))
def test_elements_stand_in_order_and_have_even_lengths(comment, uid):
    answer, position, tags = response(Command(1, 2, CT, uid, True), CommandField.C_STORE_RSP, 0xA700, comment), 0, []
    while position < len(answer):
        _, tag, length = struct.unpack_from("<HHI", answer, position)
        assert length % 2 == 0
        assert tag != 0x0902 or length <= 64  # LO
        tags.append(tag)
        position += 8 + length
    assert position == len(answer)
    assert tags == sorted(set(tags))


def test_our_answer_can_be_read_by_ourselves():
    found = decode_command(response(REQUEST, CommandField.C_STORE_RSP, 0xA700, "x"))
    assert found == Command(0x8001, 7, CT, "1.2.3.4", has_dataset=False, status=0xA700)
