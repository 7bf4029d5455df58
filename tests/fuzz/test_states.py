"""PDUs in any order, whole and broken, over a socket: the acceptor answers as PS3.8 table 9-10 has it, or hangs up.

The model below is written from the standard's tables and knows nothing of the box's code.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dicom.requests import raw_request
from tests.fakes.peers import CT, LITTLE, VERIFICATION, any_command, associate_request
from tests.fuzz.seeds import ABORT, RELEASE, pdata
from tests.hostile.test_hostile import Victim, running

SEQUENCES = 1000
SEQUENCES_LONG = 5_000
WHOLE = (1 << 20,)  # bytes sent at once: a PDU and no more
PIECES = (1, 5, 6, 7, 1000)
WITHIN_S = 5.0  # every answer, whatever came
AC, RJ, DATA, RELEASE_RP, ABORTED = 2, 3, 4, 6, 7
HUNG_UP = 0  # the connection is closed without a word

# PS3.8 table 9-10 for an acceptor: what comes in Sta2 and in Sta6, the answer, and whether that was the last word.
ECHO = pdata(3, 3, any_command(VERIFICATION, 0x0030))
PDUS: dict[str, bytes] = {
    "request": associate_request("SHARE", "CT1", [(CT, LITTLE), (VERIFICATION, LITTLE)]),
    "request to a stranger": associate_request("ELSEWHERE", "CT1", [(CT, LITTLE)]),
    "broken request": raw_request(b"\x20\0\xff\xff", called="SHARE"),
    "acceptance": struct.pack(">BxI4x", 2, 4),
    "rejection": struct.pack(">BxI4x", 3, 4),
    "echo": ECHO,
    "echo in two": pdata(3, 1, any_command(VERIFICATION, 0x0030)[:20])
    + pdata(3, 3, any_command(VERIFICATION, 0x0030)[20:]),
    "data on an unknown context": pdata(9, 3, any_command(VERIFICATION, 0x0030)),
    "data without a value": struct.pack(">BxI", 4, 0),
    "value longer than its PDU": struct.pack(">BxIIBB", 4, 10, 100, 3, 3) + bytes(4),
    "PDU of 4 GiB": struct.pack(">BxI", 4, 0xFFFFFFFF),
    "release": RELEASE,
    "release without its bytes": struct.pack(">BxI", 5, 0),
    "release response": struct.pack(">BxI4x", 6, 4),
    "abort": ABORT,
    "unknown": struct.pack(">BxI4x", 0x42, 4),
    "zeros": bytes(10),
}
AT_FIRST = {"request": (AC, False), "request to a stranger": (RJ, True), "abort": (HUNG_UP, True)}  # else AA-1
WITHIN = {  # else AA-8
    "echo": (DATA, False),
    "echo in two": (DATA, False),
    "release": (RELEASE_RP, True),
    "abort": (HUNG_UP, True),
}


class Wire:
    """One connection; PDUs are sent in pieces of these sizes, by chance."""

    def __init__(self, port: int, sizes: tuple[int, ...], seed: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), WITHIN_S)
        self._sizes, self._chance = sizes, random.Random(seed)

    def send(self, data: bytes) -> None:
        while data:
            size = self._chance.choice(self._sizes)
            self._socket.sendall(data[:size])
            data = data[size:]

    def answer(self) -> int:
        """The next PDU's type, or HUNG_UP. TimeoutError when there is none in time."""
        head = self._take(6)
        if len(head) < 6:
            return HUNG_UP
        self._take(int.from_bytes(head[2:], "big"))
        return head[0]

    def _take(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                more = self._socket.recv(size - len(data))
            except ConnectionError:
                return b""
            if not more:
                return b""
            data += more
        return data

    def close(self) -> None:
        self._socket.close()


def converse(port: int, order: list[str], sizes: tuple[int, ...] = WHOLE, seed: int = 0) -> list[tuple[str, int]]:
    """What came and the answer to it, until the acceptor has said its last word."""
    wire, heard, associated = Wire(port, sizes, seed), [], False
    try:
        for name in order:
            expected, last = (WITHIN if associated else AT_FIRST).get(name, (ABORTED, True))
            with contextlib.suppress(ConnectionError):  # it was refused by its first bytes
                wire.send(PDUS[name])
            answer = wire.answer()
            heard.append((name, answer))
            # Bytes that are unread when the acceptor hangs up make the kernel drop its A-ABORT on the way.
            lost = sizes is not WHOLE and expected == ABORTED and answer == HUNG_UP
            assert answer == expected or lost, f"{expected} expected: {heard}"
            associated = associated or answer == AC
            if last:
                assert wire.answer() == HUNG_UP, heard
                break
    finally:
        wire.close()
    return heard


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with running(tmp_path_factory.mktemp("victim"), "close_s=2") as victim:
        yield victim


@pytest.mark.parametrize("within", [False, True], ids=["at first", "within an association"])
@pytest.mark.parametrize("name", PDUS)
def test_each_pdu_is_answered_as_the_table_says(victim: Victim, name: str, within: bool) -> None:
    order = ["request", name] if within else [name]
    assert len(converse(victim.port, order)) == len(order)


ORDERS = st.lists(st.sampled_from(sorted(PDUS)), min_size=1, max_size=6)
LIKELY = st.lists(st.sampled_from(["echo", "echo in two", "echo", *sorted(PDUS)]), max_size=8).map(
    lambda order: ["request", *order]
)


def try_orders(victim: Victim, count: int) -> None:
    before = victim.rss

    @settings(max_examples=count, deadline=None)
    @given(st.one_of(ORDERS, LIKELY, LIKELY), st.sampled_from([WHOLE, PIECES]), st.integers(0, 1 << 16))
    def tried(order: list[str], sizes: tuple[int, ...], seed: int) -> None:
        converse(victim.port, order, sizes, seed)

    tried()
    assert victim.process.poll() is None
    assert victim.rss - before < 64 << 20


def test_any_order_of_pdus_is_answered_as_the_table_says(victim: Victim) -> None:
    try_orders(victim, SEQUENCES)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_thousands_of_orders_are_answered_as_the_table_says(victim: Victim) -> None:
    try_orders(victim, SEQUENCES_LONG)
