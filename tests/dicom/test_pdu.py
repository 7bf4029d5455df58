"""Association requests and answers, against pynetdicom as requestor."""

from __future__ import annotations

import contextlib
import random
import struct
import timeit
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_RELEASE_RP

from appliance.dicom import negotiation, pdu
from appliance.dicom.pdu import AcceptedContext, AssociateRequest, ProposedContext, Rejection, Result
from appliance.errors import ProtocolError
from tests.dicom.requests import CT, EXPLICIT_LE, IMPLICIT_LE, associate_rq, item, raw_request

REQUEST = associate_rq({1: (CT, [IMPLICIT_LE, EXPLICIT_LE]), 3: ("1.2.840.10008.1.1", [IMPLICIT_LE])})


def test_a_request_is_read_as_pynetdicom_wrote_it():
    assert pdu.decode_associate_rq(REQUEST) == AssociateRequest(
        "SLIPWAY",
        "CT1",
        (
            ProposedContext(1, CT, (IMPLICIT_LE, EXPLICIT_LE)),
            ProposedContext(3, "1.2.840.10008.1.1", (IMPLICIT_LE,)),
        ),
        16382,
        "1.2.3.4",
    )


def test_a_request_with_all_that_can_be_negotiated_is_read():
    request = pdu.decode_associate_rq(associate_rq({1: (CT, [IMPLICIT_LE])}, extended=True))
    assert request.contexts == (ProposedContext(1, CT, (IMPLICIT_LE,)),)


def test_a_request_of_128_contexts_is_read():
    contexts = {n: (CT, [IMPLICIT_LE, EXPLICIT_LE]) for n in range(1, 256, 2)}
    assert len(pdu.decode_associate_rq(associate_rq(contexts)).contexts) == 128


CONTEXT = item(0x20, b"\1\0\0\0" + item(0x30, CT.encode()) + item(0x40, IMPLICIT_LE.encode()))
APPLICATION = item(0x10, b"1.2.840.10008.3.1.1.1")
USER = item(0x50, item(0x51, b"\0\0\x40\0") + item(0x52, b"1.2.3"))


def test_items_that_the_standard_may_yet_define_are_skipped():
    """PS3.8 section 9.3.1."""
    user = USER[:3] + bytes([len(USER) - 4 + 5]) + USER[4:] + item(0x77, b"x")
    context = CONTEXT[:3] + bytes([len(CONTEXT) - 4 + 5]) + CONTEXT[4:] + item(0x77, b"x")
    assert pdu.decode_associate_rq(raw_request(APPLICATION + item(0x99, b"x") + context + user)) == (
        pdu.decode_associate_rq(raw_request(APPLICATION + CONTEXT + USER))
    )


@pytest.mark.parametrize(
    "items",
    [
        APPLICATION + item(0x20, b"\1\0\0\0" + item(0x30, CT.encode()) + item(0x40, b"1") * 5990) + USER,
        APPLICATION + item(0x20, b"\1\0\0\0" + item(0x40, b"") * 16_000) + USER,
        APPLICATION + item(0x20, b"\1\0\0\0" + item(0x30, CT.encode()) * 2000) + USER,
        APPLICATION + CONTEXT + item(0x50, item(0x54, b"\0\x011\1\1") * 5990),
    ],
    ids=["syntaxes", "empty syntaxes", "abstract syntaxes", "roles"],
)
def test_no_request_holds_up_the_others_for_long(items):
    """It is read before anybody knows who sent it. The best of five, as the machine may be busy."""
    best = min(timeit.repeat(lambda: _read_or_refuse(raw_request(items)), number=1, repeat=5))
    assert best < 0.02


def _read_or_refuse(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        pdu.decode_associate_rq(data)


@pytest.mark.parametrize("title", ["CT\xd6", "\xff" * 16])
def test_a_title_that_is_not_ascii_comes_back_as_it_was(title):
    body = b"\0\1\0\0" + b"SLIPWAY".ljust(16) + title.encode("latin_1").ljust(16) + bytes(32) + APPLICATION + USER
    answer = answer_to(b"\1\0" + len(body).to_bytes(4, "big") + body)
    assert answer[10:42] == body[4:36]


@pytest.mark.parametrize("blank", [" ", "\0"])
def test_a_blank_title_is_refused(blank):
    with pytest.raises(ProtocolError):
        pdu.decode_associate_rq(raw_request(APPLICATION + USER, calling=blank * 16))


def test_a_context_that_proposes_many_syntaxes_is_read():
    syntaxes = [IMPLICIT_LE, EXPLICIT_LE, *(f"1.2.840.10008.1.2.4.{n}" for n in range(50, 90))]
    (context,) = pdu.decode_associate_rq(associate_rq({1: (CT, syntaxes)})).contexts
    assert context.transfer_syntaxes == tuple(syntaxes)


def test_a_request_without_contexts_is_read_and_gets_none():
    assert pdu.decode_associate_rq(raw_request(APPLICATION + USER)).contexts == ()


@pytest.mark.parametrize(
    "items",
    [
        b"",
        APPLICATION + CONTEXT,
        APPLICATION + CONTEXT + CONTEXT + USER,
        APPLICATION + CONTEXT.replace(b"\1\0\0\0", b"\2\0\0\0") + USER,
        APPLICATION + CONTEXT + USER[:-1],
        APPLICATION + CONTEXT + USER + b"\0",
        APPLICATION + item(0x99, b"x") * 129 + USER,
        APPLICATION + USER + USER,
        APPLICATION + item(0x20, b"\1\0\0\0") * 129 + USER,
        item(0x10, b"") * 20_000,
        APPLICATION + item(0x20, b"") + USER,
        APPLICATION + item(0x20, b"\1\0\0\0" + b"\x30\0\xff\xff") + USER,
        APPLICATION + CONTEXT + item(0x50, item(0x51, b"\0")),
        APPLICATION + CONTEXT + item(0x50, item(0x51, b"\0\0\x40\0") + item(0x52, b"not a uid" * 9)),
        APPLICATION + CONTEXT + item(0x50, item(0x51, b"\0\0\x40\0") * 8000),
    ],
    ids=[
        "nothing",
        "no user information",
        "two contexts with one id",
        "an even context id",
        "cut short",
        "a byte too many",
        "more unknown items than a request can have",
        "user information twice",
        "more contexts than ids",
        "thousands of items",
        "an empty context",
        "an inner item longer than its outer",
        "a maximum length of one byte",
        "no uid as implementation",
        "thousands of inner items",
    ],
)
def test_a_malformed_request_is_refused(items):
    with pytest.raises(ProtocolError):
        pdu.decode_associate_rq(raw_request(items))


def test_a_context_without_an_abstract_syntax_is_read_and_refused_later():
    context = item(0x20, b"\1\0\0\0" + item(0x40, IMPLICIT_LE.encode()))
    request = pdu.decode_associate_rq(raw_request(APPLICATION + context + USER))
    (answer,) = negotiation.negotiate(request)
    assert answer.result is Result.ABSTRACT_SYNTAX_NOT_SUPPORTED


@pytest.mark.parametrize("title", ["CT1", "A", "SIXTEEN_LETTERS_", " CT1 ", "CT 1"])
def test_spaces_around_an_ae_title_do_not_count(title):
    assert pdu.decode_associate_rq(raw_request(APPLICATION + USER, calling=title)).calling_ae_title == title.strip()


def answer_to(data: bytes) -> bytes:
    request = pdu.decode_associate_rq(data)
    return pdu.encode_associate_ac(request, negotiation.negotiate(request), 1 << 20)


@pytest.mark.parametrize("seed", range(8))
def test_mutated_requests_are_answered_or_refused_and_nothing_else_goes_wrong(seed):
    chance, base = random.Random(seed), associate_rq({1: (CT, [IMPLICIT_LE]), 3: (CT, [EXPLICIT_LE])}, extended=True)
    outcomes = {"answered": 0, "refused": 0}
    for _ in range(1000):
        data = bytearray(base)
        for _ in range(chance.randrange(1, 4)):
            at, size = chance.randrange(6, len(data)), chance.randrange(1, 30)
            change = chance.randrange(4)
            if change == 0:
                data[at] ^= 1 << chance.randrange(8)
            elif change == 1:
                data[at] = chance.choice((0, 1, 0x10, 0x20, 0x30, 0x40, 0x50, 0x51, 0x54, 0x58, 255))
            elif change == 2:
                del data[at : at + size]
            else:
                data[at:at] = data[at : at + size]
        try:
            answer_to(bytes(data))
        except ProtocolError:
            outcomes["refused"] += 1
        else:
            outcomes["answered"] += 1
    assert min(outcomes.values()) > 50, outcomes


def test_a_request_cut_anywhere_is_refused():
    for size in range(len(REQUEST)):
        with pytest.raises(ProtocolError):
            pdu.decode_associate_rq(REQUEST[:size])


@settings(max_examples=1500, deadline=None)
@given(st.binary(max_size=120), st.booleans())
def test_garbage_is_never_anything_but_a_broken_protocol(garbage, framed):
    data = raw_request(garbage) if framed else b"\x01\0" + len(garbage).to_bytes(4, "big") + garbage
    try:
        answer_to(data)
    except ProtocolError:
        pass
    else:
        assert framed


def test_malformed_uids_leave_no_trace_in_the_process():
    """pydicom warns once for each text, and Python keeps every text that was warned of."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        answer_to(raw_request(APPLICATION + CONTEXT.replace(CT.encode(), b"1.02.0" + CT[6:].encode()) + USER))
    assert said == []


# -- answers -------------------------------------------------------------------------------------------------------


def test_pynetdicom_reads_our_acceptance():
    request = pdu.decode_associate_rq(REQUEST)
    contexts = (
        AcceptedContext(1, CT, EXPLICIT_LE, Result.ACCEPTED),
        AcceptedContext(3, "1.2.840.10008.1.1", IMPLICIT_LE, Result.ABSTRACT_SYNTAX_NOT_SUPPORTED),
    )
    decoded = A_ASSOCIATE_AC()
    decoded.decode(pdu.encode_associate_ac(request, contexts, 1 << 20))
    primitive = decoded.to_primitive()
    assert primitive.maximum_length_received == 1 << 20
    assert primitive.implementation_class_uid == pdu.IMPLEMENTATION_CLASS_UID
    first, second = primitive.presentation_context_definition_results_list
    assert (first.context_id, first.result, first.transfer_syntax[0]) == (1, 0, EXPLICIT_LE)
    assert (second.context_id, second.result) == (3, 3)


@pytest.mark.parametrize("rejection", [pdu.CALLED_AE_UNKNOWN, pdu.CALLING_AE_UNKNOWN, pdu.TOO_MANY])
def test_pynetdicom_reads_our_rejections(rejection):
    assert rejection.encode()[0] == 3
    decoded = A_ASSOCIATE_RJ()
    decoded.decode(rejection.encode())
    assert (decoded.result, decoded.source, decoded.reason_diagnostic) == (
        rejection.result,
        rejection.source,
        rejection.reason,
    )
    assert decoded.reason_str  # PS3.8 table 9-21 has this combination


def test_being_too_busy_is_said_to_pass():
    assert (pdu.TOO_MANY.result, pdu.TOO_MANY.source, pdu.TOO_MANY.reason) == (2, 3, 2)


@pytest.mark.parametrize(("source", "reason"), [(0, 0), (2, 0), (2, 2)])
def test_pynetdicom_reads_our_abort(source, reason):
    decoded = A_ABORT_RQ()
    decoded.decode(pdu.abort(source, reason))
    assert (decoded.source, decoded.reason_diagnostic) == (source, reason)


def test_pynetdicom_reads_our_release():
    assert pdu.RELEASE_RP[0] == 6
    decoded = A_RELEASE_RP()
    decoded.decode(pdu.RELEASE_RP)
    assert decoded.pdu_length == 4


@pytest.mark.parametrize("whole", [pdu.RELEASE_RP, pdu.abort(2, 0), Rejection(1, 1, 7).encode()])
def test_short_pdus_are_ten_bytes_and_say_so(whole):
    assert len(whole) == 10
    assert struct.unpack(">I", whole[2:6]) == (4,)
