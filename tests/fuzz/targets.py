"""What is fuzzed: one function for each reader of foreign bytes. Each takes any bytes, and raises only for a fault; it
says whether the bytes were good.

A fault is an exception other than the reader's own error, an answer that the caller could not use, or more time or
memory than its limits promise. hypothesis, atheris and the kept inputs all call these.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterator

from appliance.dicom import (
    attributes,
    availability_notification,
    charset,
    dataset_head,
    dimse,
    elements,
    media_creation,
    negotiation,
    pdu,
    performed_step,
    storage_commitment,
    workitem,
)
from appliance.dicom.dimse import Assembler, Command, CommandField, CommandReceived
from appliance.dicom.negotiation import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, STORAGE_COMMITMENT
from appliance.dicom.upper_layer import (
    MAX_REQUEST_BYTES,
    PDU_HEADER_BYTES,
    AssociationRequested,
    Event,
    Fragment,
    ReleaseRequested,
    State,
    UpperLayer,
    pdata_with_dataset,
)
from appliance.errors import ProtocolError
from tests.dicom.datasets import CT
from tests.fuzz.web_body import web_body

Target = Callable[[bytes], bool]

HANG_S = 5.0
NO_LETTERS = ("Cc", "Cs", "Zl", "Zp")  # controls, surrogates, and what breaks a line
MAXIMUM_LENGTH = 1 << 16  # bytes of a P-DATA-TF
SYNTAXES = (IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, negotiation.DEFLATED_LE, "1.2.840.10008.1.2.4.90")
PROBLEMS = {
    value
    for module in (attributes, dataset_head)
    for name, value in vars(module).items()
    if isinstance(value, str) and name.isupper() and value.endswith(".")
}


def conversation(data: bytes) -> bool:
    """A whole association, cut into pieces of 1 + the first byte: states, PDUs, messages."""
    step, layer, assembler, good = 1 + data[0] if data else 1, UpperLayer(MAXIMUM_LENGTH), Assembler(), True
    for start in range(1, len(data), step):
        try:
            for event in layer.receive(memoryview(data)[start : start + step]):
                _answer(layer, assembler, event)
        except ProtocolError:
            layer.abort()
            good = False
        assert len(layer._held) <= MAX_REQUEST_BYTES + PDU_HEADER_BYTES
        assert len(assembler._command) <= dimse.MAX_COMMAND_BYTES
    return good


def _answer(layer: UpperLayer, assembler: Assembler, event: Event) -> None:
    """As the acceptor does."""
    if isinstance(event, AssociationRequested):
        layer.accept(negotiation.negotiate(event.request))
    elif isinstance(event, ReleaseRequested):
        layer.release()
        assert layer.state is State.AWAITING_CLOSE
    elif isinstance(event, Fragment):
        message = assembler.take(event)
        if isinstance(message, CommandReceived):
            _answer_command(message.command)


def _answer_command(command: Command) -> None:
    answer = dimse.response(command, command.field | 0x8000, 0, "comment")
    again = dimse.decode_command(answer)
    assert (again.field, again.message_id) == (command.field | 0x8000, command.message_id)


def association_request(data: bytes) -> bool:
    """The variable items of an A-ASSOCIATE-RQ, after its fixed part."""
    body = b"\0\1\0\0" + b"SHARE".ljust(16) + b"CT1".ljust(16) + bytes(32) + data
    try:
        request = pdu.decode_associate_rq(b"\1\0" + len(body).to_bytes(4, "big") + body)
    except ProtocolError:
        return False
    contexts = negotiation.negotiate(request)
    answer = pdu.encode_associate_ac(request, contexts, MAXIMUM_LENGTH)
    assert len(answer) == PDU_HEADER_BYTES + int.from_bytes(answer[2:6], "big")
    assert [context.context_id for context in contexts] == [context.context_id for context in request.contexts]
    return True


def association_answer(data: bytes) -> bool:
    """The variable items of an A-ASSOCIATE-AC, after its fixed part: from whom the box calls."""
    body = b"\0\1\0\0" + bytes(64) + data
    try:
        accepted, maximum_length = pdu.decode_associate_ac(b"\2\0" + len(body).to_bytes(4, "big") + body)
    except ProtocolError:
        return False
    assert all(0 <= number <= 255 for number in accepted)
    pdata_with_dataset(1, b"command", b"dataset", maximum_length)
    return True


def command_set(data: bytes) -> bool:
    try:
        command = dimse.decode_command(data)
    except ProtocolError:
        return False
    _answer_command(command)
    return True


def dataset(data: bytes) -> bool:
    """A dataset's head. The first byte says in which transfer syntax, and whether that is all of it."""
    kind = data[0] if data else 0
    found = attributes.read_attributes(data[1:], SYNTAXES[kind % len(SYNTAXES)], whole=bool(kind & 0x80))
    assert found.problem in PROBLEMS | {""}
    texts = [value for value in (getattr(found, name) for name in found.__slots__) if isinstance(value, str)]
    assert not any(unicodedata.category(letter) in NO_LETTERS for letter in "".join(texts))
    assert max(map(len, texts)) <= 2 * dataset_head.VALUE_BYTES_MAX
    return not found.problem


def text(data: bytes) -> bool:
    """Terms of Specific Character Set up to the first LF, then a value."""
    terms, _, value = data.partition(b"\n")
    repertoire = charset.repertoire(tuple(terms.decode("latin_1").split("\\")))
    for resets in (charset.NAME_RESETS, charset.TEXT_RESETS):
        decoded = repertoire.decode(value, resets)
        assert len(decoded) <= 2 * len(value)
        assert not any(unicodedata.category(letter) in NO_LETTERS for letter in decoded)
    return repertoire.known and charset.UNDEFINED not in decoded


def commitment(data: bytes) -> bool:
    """A request for storage commitment. The first byte says in which transfer syntax."""
    syntax = SYNTAXES[data[0] % 3] if data else EXPLICIT_LE
    command = Command(
        CommandField.N_ACTION_RQ,
        1,
        STORAGE_COMMITMENT,
        storage_commitment.WELL_KNOWN_INSTANCE,
        has_dataset=True,
        action_type=storage_commitment.REQUEST_COMMITMENT,
    )
    verdict = storage_commitment.decide(command, data[1:], syntax)
    assert bool(verdict.report) == (verdict.status == 0)
    return verdict.status == 0


SERVICES: tuple[Callable[[bytes, str], tuple[object, ...]], ...] = (
    media_creation.decode_create,
    media_creation.decode_initiate,
    availability_notification.decode,
    performed_step.decode_create,
    performed_step.decode_set,
    workitem.decode_create,
    workitem.decode_cancel,
    workitem.decode_subscription,
)


def service(data: bytes) -> bool:
    """A dataset of a service. The first byte says of which, and in which transfer syntax."""
    kind = data[0] if data else 0
    decode, syntax = SERVICES[kind // 3 % len(SERVICES)], SYNTAXES[kind % 3]
    try:
        found = decode(data[1:], syntax)
    except elements.DatasetError as error:
        _assert_answerable(error.status, str(error))
        return False
    for value in _texts(found):
        assert len(value) <= elements.TEXT_MOST
        assert not any(unicodedata.category(letter) in NO_LETTERS for letter in value)
    return True


def _assert_answerable(status: dimse.Status, comment: str) -> None:
    command = Command(CommandField.N_CREATE_RQ, 1, CT, "1.2.3", has_dataset=True)
    dimse.response(command, CommandField.N_CREATE_RSP, status, comment)
    assert comment.isascii()
    assert comment.isprintable()


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for inner in value:
            yield from _texts(inner)


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        conversation,
        association_request,
        association_answer,
        command_set,
        dataset,
        text,
        commitment,
        service,
        web_body,
    )
}


def run(name: str, data: bytes) -> bool:
    """One input: whether it was good. A fault is raised."""
    started = time.process_time()  # of this process: the machine may be busy with others
    good = TARGETS[name](data)
    assert time.process_time() - started < HANG_S, "it took too long"
    return good
