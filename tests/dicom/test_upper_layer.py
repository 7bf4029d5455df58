"""The acceptor's upper layer, against PS3.8 section 9.2 and whatever a hostile peer may send."""

from __future__ import annotations

import itertools
import random
import tracemalloc
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.dicom import negotiation, pdu
from appliance.dicom.pdu import PduType
from appliance.dicom.upper_layer import (
    MAX_CONTROL_BYTES,
    MAX_REQUEST_BYTES,
    Aborted,
    AssociationRequested,
    Event,
    Fragment,
    ReleaseRequested,
    State,
    UpperLayer,
    pdata,
)
from appliance.errors import ProtocolError
from tests.dicom.requests import CT, EXPLICIT_LE, IMPLICIT_LE, associate_rq

MAXIMUM = 1000  # bytes of a P-DATA-TF, as this acceptor announces
REQUEST = associate_rq({1: (CT, [IMPLICIT_LE, EXPLICIT_LE])})
RELEASE = b"\x05\0\0\0\0\x04\0\0\0\0"
ABORT = b"\x07\0\0\0\0\x04\0\0\x02\x06"


def pdu_of(kind: int, body: bytes) -> bytes:
    return bytes([kind, 0]) + len(body).to_bytes(4, "big") + body


def pdv(value: bytes, context_id: int = 1, control: int = 0) -> bytes:
    return (len(value) + 2).to_bytes(4, "big") + bytes([context_id, control]) + value


def data_pdu(*pdvs: bytes) -> bytes:
    return pdu_of(PduType.P_DATA, b"".join(pdvs))


def layer(state: State = State.ESTABLISHED) -> UpperLayer:
    """An association that has come as far as `state`."""
    machine = UpperLayer(MAXIMUM)
    if state is State.AWAITING_REQUEST:
        return machine
    (requested,) = events(machine, [REQUEST])
    if state is not State.AWAITING_DECISION:
        machine.accept(negotiation.negotiate(requested.request))
    if state is State.AWAITING_RELEASE_DECISION:
        events(machine, [RELEASE])
    if state is State.AWAITING_CLOSE:
        machine.abort()
    assert machine.state is state
    return machine


def events(machine: UpperLayer, pieces: Iterable[bytes]) -> list[Event]:
    """What comes out; fragments copied, as their buffer is used again."""
    out: list[Event] = []
    for piece in pieces:
        for event in machine.receive(memoryview(piece)):
            out.append(event._replace(value=bytes(event.value)) if isinstance(event, Fragment) else event)
    return out


def whole(found: Sequence[Event]) -> list[object]:
    """Fragments joined until the one that ends its message: how they were cut does not matter."""
    out: list[object] = []
    value = b""
    for event in found:
        if not isinstance(event, Fragment):
            out.append(event)
            continue
        value += event.value
        if event.is_last:
            out.append((event.context_id, event.is_command, value))
            value = b""
    return [*out, value]


# -- PS3.8 table 9-10, as far as an acceptor goes ------------------------------------------------------------------

IGNORED = "dropped"  # AA-6, and here AA-7 too: what comes after our last word is not read
BROKEN = "protocol error"  # AA-1 before there is an association, AA-8 in it
TABLE = {
    State.AWAITING_REQUEST: {PduType.ASSOCIATE_RQ: AssociationRequested, PduType.ABORT: Aborted},
    State.AWAITING_DECISION: {PduType.ABORT: Aborted},
    State.ESTABLISHED: {PduType.P_DATA: Fragment, PduType.RELEASE_RQ: ReleaseRequested, PduType.ABORT: Aborted},
    State.AWAITING_RELEASE_DECISION: {PduType.ABORT: Aborted},
    State.AWAITING_CLOSE: dict.fromkeys(range(256), IGNORED),
}
SAMPLES = {
    PduType.ASSOCIATE_RQ: REQUEST,
    PduType.ASSOCIATE_AC: pdu_of(PduType.ASSOCIATE_AC, REQUEST[6:]),
    PduType.ASSOCIATE_RJ: pdu_of(PduType.ASSOCIATE_RJ, b"\0\1\1\1"),
    PduType.P_DATA: data_pdu(pdv(b"x", control=3)),
    PduType.RELEASE_RQ: RELEASE,
    PduType.RELEASE_RP: pdu_of(PduType.RELEASE_RP, bytes(4)),
    PduType.ABORT: ABORT,
    **{kind: pdu_of(kind, bytes(4)) for kind in (0, 8, 0x16, 0x47, 0x80, 255)},
}


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("state", list(State))
def test_every_pdu_in_every_state_does_what_the_standards_table_says(state, kind):
    machine, expected = layer(state), TABLE[state].get(kind, BROKEN)
    if expected is BROKEN:
        with pytest.raises(ProtocolError):
            events(machine, [SAMPLES[kind]])
        assert machine.state is state
    elif expected is IGNORED:
        assert events(machine, [SAMPLES[kind]]) == []
        assert machine.state is State.AWAITING_CLOSE
    else:
        (event,) = events(machine, [SAMPLES[kind]])
        assert isinstance(event, expected)


@pytest.mark.parametrize("state", [state for state in State if state is not State.AWAITING_CLOSE])
def test_every_unknown_type_of_pdu_is_refused_by_its_first_bytes(state):
    for kind in set(range(256)) - set(PduType):
        with pytest.raises(ProtocolError):
            events(layer(state), [bytes([kind, 0, 0xFF, 0xFF, 0xFF, 0xFF])])


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        (PduType.ASSOCIATE_RQ, State.AWAITING_DECISION),
        (PduType.RELEASE_RQ, State.AWAITING_RELEASE_DECISION),
        (PduType.ABORT, State.AWAITING_CLOSE),
        (PduType.P_DATA, State.ESTABLISHED),
    ],
)
def test_what_is_received_leads_to_the_standards_next_state(kind, after):
    machine = layer(State.AWAITING_REQUEST if kind is PduType.ASSOCIATE_RQ else State.ESTABLISHED)
    events(machine, [SAMPLES[kind]])
    assert machine.state is after


def test_an_abort_says_who_and_why():
    assert events(layer(), [ABORT]) == [Aborted(2, 6)]


def test_a_whole_association_takes_its_course():
    machine = UpperLayer(MAXIMUM)
    (requested,) = events(machine, [REQUEST])
    assert machine.accept(negotiation.negotiate(requested.request))[0] == PduType.ASSOCIATE_AC
    assert whole(events(machine, [data_pdu(pdv(b"command", control=3))])) == [(1, True, b"command"), b""]
    assert events(machine, [RELEASE]) == [ReleaseRequested()]
    assert machine.release() == pdu.RELEASE_RP
    assert machine.state is State.AWAITING_CLOSE


@pytest.mark.parametrize("state", [state for state in State if state is not State.AWAITING_DECISION])
def test_only_a_request_can_be_accepted(state):
    with pytest.raises(ProtocolError):
        layer(state).accept(())


def test_a_rejection_is_the_last_word():
    machine = layer(State.AWAITING_DECISION)
    assert machine.reject(pdu.CALLED_AE_UNKNOWN) == pdu.CALLED_AE_UNKNOWN.encode()
    assert events(machine, [REQUEST, data_pdu(pdv(b"x"))]) == []


def test_what_follows_a_release_in_the_same_buffer_is_dropped():
    machine = layer()
    for event in machine.receive(memoryview(RELEASE + b"\xff" * 50)):
        assert isinstance(event, ReleaseRequested)
        machine.release()
    assert machine.state is State.AWAITING_CLOSE


def test_what_follows_an_abort_is_dropped():
    assert events(layer(), [ABORT + data_pdu(pdv(b"x")) + b"\xff" * 50]) == [Aborted(2, 6)]


def test_our_abort_is_by_the_provider():
    assert layer().abort(2) == b"\x07\0\0\0\0\x04\0\0\x02\x02"


# -- lengths -------------------------------------------------------------------------------------------------------

HUGE = 2**32 - 1


def header(kind: int, length: int) -> bytes:
    return bytes([kind, 0]) + length.to_bytes(4, "big")


@pytest.mark.parametrize("kind", [PduType.RELEASE_RQ, PduType.ABORT])
@pytest.mark.parametrize("length", [0, 3, MAX_CONTROL_BYTES + 1, HUGE])
def test_a_short_pdu_of_an_impossible_length_is_refused_by_its_header(kind, length):
    with pytest.raises(ProtocolError):
        events(layer(), [header(kind, length)])


@pytest.mark.parametrize("kind", [PduType.RELEASE_RQ, PduType.ABORT])
@pytest.mark.parametrize("length", [4, 5, MAX_CONTROL_BYTES])
def test_a_short_pdu_that_an_odd_peer_made_longer_is_taken(kind, length):
    machine = layer()
    assert len(events(machine, [header(kind, length) + bytes(length)])) == 1


@pytest.mark.parametrize("length", [0, 3, 4, 67, MAX_REQUEST_BYTES + 1, HUGE])
def test_a_request_of_an_impossible_length_is_refused(length):
    with pytest.raises(ProtocolError):
        events(layer(State.AWAITING_REQUEST), [header(PduType.ASSOCIATE_RQ, length), bytes(min(length, 100))])


@pytest.mark.parametrize("length", [0, 3, 4, 5, MAXIMUM + 1, HUGE])
def test_a_data_pdu_of_an_impossible_length_is_refused_by_its_header(length):
    with pytest.raises(ProtocolError):
        events(layer(), [header(PduType.P_DATA, length)])


@pytest.mark.parametrize("size", [0, 1, 2, MAXIMUM - 6])
def test_a_data_pdu_up_to_the_announced_length_is_taken(size):
    assert whole(events(layer(), [data_pdu(pdv(bytes(size), control=2))])) == [(1, False, bytes(size)), b""]


@pytest.mark.parametrize("length", [0, 1, 100, HUGE])
def test_a_value_longer_than_its_pdu_or_without_its_header_is_refused(length):
    body = length.to_bytes(4, "big") + b"\1\2" + bytes(90)
    with pytest.raises(ProtocolError):
        events(layer(), [pdu_of(PduType.P_DATA, body)])


@pytest.mark.parametrize("left", range(1, 6))
def test_bytes_after_the_last_value_of_a_pdu_are_refused(left):
    with pytest.raises(ProtocolError):
        events(layer(), [data_pdu(pdv(b"x", control=2), bytes(left)), RELEASE])


# -- values --------------------------------------------------------------------------------------------------------


def test_several_values_in_a_pdu_come_out_in_order():
    found = events(layer(), [data_pdu(pdv(b"command", 1, 3), pdv(b"first", 1, 0), pdv(b"second", 1, 2))])
    assert [event.value for event in found] == [b"command", b"first", b"second"]
    assert [event.is_command for event in found] == [True, False, False]
    assert [event.is_last for event in found] == [True, False, True]


def test_a_value_in_several_pdus_is_one_message():
    pdus = [data_pdu(pdv(b"ab", 3, 0)), data_pdu(pdv(b"", 3, 0)), data_pdu(pdv(b"cd", 3, 2))]
    assert whole(events(layer(), pdus)) == [(3, False, b"abcd"), b""]


def test_an_empty_last_value_ends_its_message():
    assert whole(events(layer(), [data_pdu(pdv(b"ab", 1, 0), pdv(b"", 1, 2))])) == [(1, False, b"ab"), b""]


def test_an_empty_value_at_the_very_end_of_a_buffer_is_not_forgotten():
    (event,) = events(layer(), [data_pdu(pdv(b"", 1, 3))])
    assert event == Fragment(1, True, True, b"")


def test_the_last_mark_comes_only_with_the_last_byte():
    message = data_pdu(pdv(b"abcd", 1, 2))
    found = events(layer(), [message[:-2], message[-2:-1], message[-1:]])
    assert [event.is_last for event in found] == [False, False, True]


def test_reserved_bits_of_the_control_header_are_not_tested():
    (event,) = events(layer(), [data_pdu(pdv(b"x", 1, 0xFE))])
    assert (event.is_command, event.is_last) == (False, True)


def test_values_are_views_into_the_reception_buffer_and_cost_no_copy():
    buffer = memoryview(data_pdu(pdv(bytes(500), 1, 2)))
    (event,) = layer().receive(buffer)
    assert event.value.obj is buffer.obj


# -- any cutting of the same bytes ---------------------------------------------------------------------------------

CONVERSATION = b"".join(
    (
        data_pdu(pdv(b"command", 1, 3)),
        data_pdu(pdv(bytes(range(200)), 1, 0), pdv(b"", 1, 0)),
        data_pdu(pdv(b"end", 1, 2), pdv(b"c2", 3, 1)),
        data_pdu(pdv(b"", 3, 3)),
        RELEASE,
    )
)
SAID = whole(events(layer(), [CONVERSATION]))


def test_the_conversation_is_what_it_is_meant_to_be():
    expected = [
        (1, True, b"command"),
        (1, False, bytes(range(200)) + b"end"),
        (3, True, b"c2"),
        ReleaseRequested(),
        b"",
    ]
    assert expected == SAID


@given(st.lists(st.integers(0, len(CONVERSATION)), max_size=30))
def test_the_pieces_in_which_bytes_come_make_no_difference(cuts):
    edges = [0, *sorted(cuts), len(CONVERSATION)]
    pieces = [CONVERSATION[start:end] for start, end in itertools.pairwise(edges)]
    assert whole(events(layer(), pieces)) == SAID


def test_a_conversation_comes_through_byte_by_byte():
    assert whole(events(layer(), (CONVERSATION[n : n + 1] for n in range(len(CONVERSATION))))) == SAID


def test_a_request_comes_through_byte_by_byte():
    machine = UpperLayer(MAXIMUM)
    (event,) = events(machine, (REQUEST[n : n + 1] for n in range(len(REQUEST))))
    assert event.request == pdu.decode_associate_rq(REQUEST)


def test_data_that_follows_the_request_in_one_buffer_waits_for_the_decision():
    machine, found = UpperLayer(MAXIMUM), []
    for event in machine.receive(memoryview(REQUEST + data_pdu(pdv(b"eager", 1, 3)))):
        found.append(event)
        if isinstance(event, AssociationRequested):
            machine.accept(negotiation.negotiate(event.request))
    assert [type(event) for event in found] == [AssociationRequested, Fragment]


MESSAGES = st.lists(
    st.tuples(st.sampled_from([1, 3, 255]), st.booleans(), st.lists(st.binary(max_size=60), min_size=1, max_size=4)),
    max_size=6,
)


@given(MESSAGES, st.data())
def test_any_messages_in_any_pdus_in_any_pieces_come_out_as_they_went_in(messages, data):
    pdvs = [
        pdv(value, context, command | (2 if n == len(values) - 1 else 0))
        for context, command, values in messages
        for n, value in enumerate(values)
    ]
    stream, position = b"", 0
    while position < len(pdvs):
        count = data.draw(st.integers(1, 3))
        stream += data_pdu(*pdvs[position : position + count])
        position += count
    step = data.draw(st.integers(1, 70))
    found = whole(events(layer(), (stream[n : n + step] for n in range(0, len(stream), step))))
    assert found == [*((context, command, b"".join(values)) for context, command, values in messages), b""]


# -- garbage -------------------------------------------------------------------------------------------------------


def consume(machine: UpperLayer, pieces: Iterable[bytes]) -> None:
    """As the acceptor does: accept, release, and abort when the protocol is broken, whatever still comes."""
    for piece in pieces:
        try:
            for event in machine.receive(memoryview(piece)):
                if isinstance(event, AssociationRequested):
                    machine.accept(negotiation.negotiate(event.request))
                elif isinstance(event, ReleaseRequested):
                    machine.release()
        except ProtocolError:
            machine.abort()


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(list(State)), st.lists(st.binary(max_size=50), max_size=6))
def test_garbage_is_a_broken_protocol_and_nothing_else_goes_wrong(state, pieces):
    consume(layer(state), pieces)


LENGTHS = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 10, MAXIMUM, MAXIMUM + 1, MAX_REQUEST_BYTES, HUGE])


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(list(State)),
    st.lists(st.tuples(st.integers(0, 9), LENGTHS, LENGTHS, st.binary(max_size=20)), max_size=8),
    st.integers(1, 40),
)
def test_pdus_with_lying_lengths_are_a_broken_protocol_and_nothing_else_goes_wrong(state, pdus, step):
    stream = b"".join(header(kind, length) + inner.to_bytes(4, "big") + tail for kind, length, inner, tail in pdus)
    machine = layer(state)
    consume(machine, (stream[n : n + step] for n in range(0, len(stream), step)))
    assert len(machine._held) <= len(stream)


@pytest.mark.parametrize("seed", range(10))
def test_a_conversation_with_flipped_bits_is_a_broken_protocol_at_worst(seed):
    chance, base = random.Random(seed), REQUEST + CONVERSATION
    for _ in range(300):
        altered = bytearray(base)
        for _ in range(chance.randrange(1, 5)):
            altered[chance.randrange(len(altered))] ^= 1 << chance.randrange(8)
        consume(UpperLayer(MAXIMUM), [bytes(altered)])


# -- memory --------------------------------------------------------------------------------------------------------


def most_held(machine: UpperLayer, first: bytes, flood_bytes: int) -> int:
    """Peak of what was allocated while a flood of zeros came after `first`."""
    flood, sent = bytes(64 * 1024), 0
    tracemalloc.start()
    consume(machine, [first])
    while sent < flood_bytes:
        consume(machine, [flood])
        sent += len(flood)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("kind", [*PduType, 0, 255])
def test_a_header_that_promises_4_gib_makes_the_box_hold_nothing(state, kind):
    assert most_held(layer(state), header(kind, HUGE), 4 << 20) < 300_000


@pytest.mark.parametrize("kind", PduType)
def test_even_when_nobody_aborts_a_broken_association_holds_nothing(kind):
    machine = layer()
    for piece in [header(kind, HUGE), *[bytes(64 * 1024)] * 50]:
        try:
            events(machine, [piece])
        except ProtocolError:
            continue
    assert len(machine._held) <= MAX_REQUEST_BYTES + 6


def test_a_request_as_long_as_allowed_is_all_that_is_ever_held():
    machine = UpperLayer(MAXIMUM)
    events(machine, [header(PduType.ASSOCIATE_RQ, MAX_REQUEST_BYTES), bytes(MAX_REQUEST_BYTES - 1)])
    assert len(machine._held) == MAX_REQUEST_BYTES + 5
    with pytest.raises(ProtocolError):
        events(machine, [bytes(1)])
    machine.abort()
    assert len(machine._held) == 0


def test_an_image_of_any_size_passes_without_being_held():
    machine = UpperLayer(64 << 20)
    (requested,) = events(machine, [REQUEST])
    machine.accept(negotiation.negotiate(requested.request))
    pieces, seen = [header(PduType.P_DATA, 64 << 20), ((64 << 20) - 4).to_bytes(4, "big") + b"\1\2"], 0
    consume(machine, pieces)
    chunk = memoryview(bytes(1 << 20))
    for _ in range(64):
        for event in machine.receive(chunk[: min(len(chunk), (64 << 20) - 6 - seen)]):
            seen += len(event.value)
            assert len(machine._held) == 0
    assert (seen, event.is_last) == ((64 << 20) - 6, True)


# -- what we send --------------------------------------------------------------------------------------------------


def test_an_answer_is_the_standards_bytes():
    assert pdata(3, b"ab") == b"\4\0\0\0\0\x08" + b"\0\0\0\4" + b"\3\3ab"


@given(st.sampled_from([1, 3, 255]), st.binary(max_size=300))
def test_an_answer_is_one_command_in_one_pdu(context_id, command):
    assert whole(events(layer(), [pdata(context_id, command)])) == [(context_id, True, command), b""]
