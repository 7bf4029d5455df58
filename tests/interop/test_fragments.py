"""PDUs of every length, and messages cut up in every way that PS3.8 annex E allows."""

from __future__ import annotations

import hashlib
import random

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import DigitalXRayImageStorageForPresentation, Verification  # type: ignore[attr-defined]

from appliance.adapters.pacs_checkpoint import steady
from tests.interop.inbox import Inbox
from tests.interop.requestor import CT, LITTLE, Requestor, fragment, pdu, store_command, user_information
from tests.interop.tap import Tap
from tests.samples import sample
from tests.system.harness import Box, run

LENGTHS = [0, 1, 4096, 16_384, 28_672, 131_072, 1 << 20, 0xFFFFFFFF]
NOISE = random.Random(5).randbytes(300_001)  # odd, although datasets are even: nothing here looks inside
SHA256 = hashlib.sha256(NOISE).hexdigest()


def cut(data: bytes, size: int, context: int = 1) -> list[bytes]:
    """As fragments of a dataset."""
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return [
        fragment(context, command=False, last=number == len(parts), value=part) for number, part in enumerate(parts, 1)
    ]


def command(uid: str, message_id: int = 1) -> bytes:
    return fragment(1, command=True, last=True, value=store_command(message_id, CT, uid))


@pytest.mark.parametrize("announced", LENGTHS)
async def test_whatever_a_requestor_announces_it_is_answered_within(box: Box, inbox: Inbox, announced: int) -> None:
    """A command answer is one PDU of some 130 bytes, so only whoever announces less than that could be hurt."""
    name = f"SAID {announced}"
    async with await Requestor.open(box.port, name, user=user_information(announced)) as peer:
        assert (await peer.store_as(pdu(command("1.2.3")), *map(pdu, cut(NOISE, 16_378)))).status == 0
        await peer.release()
    assert [one.sha256 for one in inbox(name)] == [SHA256]


@pytest.mark.parametrize("length", [4096, 16_384, 28_672, 131_072, 1 << 20])
async def test_a_dataset_in_pdus_of_any_length_up_to_ours_is_kept(box: Box, inbox: Inbox, length: int) -> None:
    name = f"PDU {length}"
    async with await Requestor.open(box.port, name) as peer:
        assert peer.maximum == 1 << 20
        assert (await peer.store_as(pdu(command("1.2.3")), *map(pdu, cut(NOISE * 4, length - 6)))).status == 0
        await peer.release()
    assert [one.sha256 for one in inbox(name)] == [hashlib.sha256(NOISE * 4).hexdigest()]


async def test_command_and_dataset_may_share_a_pdu(box: Box, inbox: Inbox) -> None:
    async with await Requestor.open(box.port, "ONE PDU") as peer:
        assert (await peer.store_as(pdu(command("1.2.3"), *cut(NOISE, len(NOISE))))).status == 0
        assert (await peer.store_as(pdu(command("1.2.4", 2), *cut(NOISE, 1000)))).status == 0
        await peer.release()
    assert [one.sha256 for one in inbox("ONE PDU")] == [SHA256] * 2


async def test_the_next_command_may_follow_the_dataset_in_the_same_pdu(box: Box, inbox: Inbox) -> None:
    """PS3.8 annex E asks for one message a PDU of no one who sends, and costs nothing to take."""
    async with await Requestor.open(box.port, "TWO IN ONE") as peer:
        await peer.send(pdu(command("1.2.3"), *cut(NOISE, 200_000), command("1.2.4", 2), *cut(b"abcd", 4)))
        answers = {(await peer.answer()).message_id for _ in range(2)}
        await peer.release()
    assert answers == {1, 2}
    assert len(inbox("TWO IN ONE")) == 2


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_fragments_of_a_byte_are_put_together(box: Box, inbox: Inbox, size: int) -> None:
    name = f"BYTES {size}"
    pieces = cut(NOISE[:5000], size)
    half = len(pieces) // 2
    async with await Requestor.open(box.port, name) as peer:
        assert (await peer.store_as(pdu(command("1.2.3")), *map(pdu, pieces[:half]), pdu(*pieces[half:]))).status == 0
        await peer.release()
    assert [one.sha256 for one in inbox(name)] == [hashlib.sha256(NOISE[:5000]).hexdigest()]


async def test_fragments_of_nothing_count_for_nothing(box: Box, inbox: Inbox) -> None:
    """In the middle, and as the last one: some senders find out too late that there is no more."""
    nothing = fragment(1, command=False, last=False, value=b"")
    end = fragment(1, command=False, last=True, value=b"")
    some = fragment(1, command=False, last=False, value=NOISE[:1000])
    async with await Requestor.open(box.port, "NOTHING") as peer:
        answer = await peer.store_as(pdu(command("1.2.3")), pdu(nothing), pdu(some, nothing), pdu(nothing, end))
        assert answer.status == 0
        await peer.release()
    assert [one.sha256 for one in inbox("NOTHING")] == [hashlib.sha256(NOISE[:1000]).hexdigest()]


async def test_a_command_in_pieces_is_put_together(box: Box, inbox: Inbox) -> None:
    whole = store_command(1, CT, "1.2.3")
    pieces = [
        fragment(1, command=True, last=at + 5 >= len(whole), value=whole[at : at + 5]) for at in range(0, len(whole), 5)
    ]
    async with await Requestor.open(box.port, "PIECES") as peer:
        assert (await peer.store_as(*map(pdu, pieces), *map(pdu, cut(NOISE, 1 << 16)))).status == 0
        await peer.release()
    assert [one.sha256 for one in inbox("PIECES")] == [SHA256]


@pytest.mark.parametrize("length", [4096, 16_384, 28_672, 131_072])
def test_dcmtk_with_other_pdu_lengths(box: Box, inbox: Inbox, length: int) -> None:
    name = f"DCMTK {length}"
    file = sample("generated/mg_explicit").path
    with Tap(box.port) as tap:
        lengths = ["-pdu", str(length), "--max-send-pdu", str(length)]
        run(["storescu", "-q", "-R", *lengths, "-aet", name, "-aec", "SHARE", "127.0.0.1", str(tap.port), file])
    assert inbox(name) == tap.sent()
    assert tap.recorded[0].longest_pdu() <= length
    assert tap.recorded[0].longest_pdu(from_box=True) <= length


def test_a_sender_that_honours_our_length_uses_it_and_goes_not_beyond(box: Box, inbox: Inbox) -> None:
    """pynetdicom sends PDUs as long as the acceptor allows."""
    ae = AE(ae_title="HONOURS")
    ae.maximum_pdu_size = 0
    ae.network_timeout = 10
    ae.add_requested_context(DigitalXRayImageStorageForPresentation, LITTLE)
    ae.add_requested_context(Verification)
    with Tap(box.port) as tap:
        association = steady(ae.associate("127.0.0.1", tap.port, ae_title="SHARE"))
        assert association.send_c_store(sample("generated/dx_explicit").path).Status == 0
        assert association.send_c_echo().Status == 0
        association.release()
    assert inbox("HONOURS") == tap.sent()
    assert 1_000_000 < tap.recorded[0].longest_pdu() <= 1 << 20
