"""Every instance finds its place, also after a crash; and nobody else gets in."""

from __future__ import annotations

import random

import pytest

from appliance.daemon.peers import KnownPeer, Peers, UnknownPeers
from appliance.dicom.pdu import AssociateRequest, Rejection
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, Image, images, terms, uids
from tests.fakes.vault import RememberingVault

# -- the right patient -------------------------------------------------------------------------------------------------


async def test_two_patients_interleaved_get_two_slips_that_hold_their_own(box: House) -> None:
    a, b = images("A", 10), images("B", 10)
    for one, other in zip(a, b, strict=True):
        await box.send(one, other)
    await box.settled()
    assert len(box.printer.jobs) == 2
    found = [set(box.opened(which=which).datasets) for which in (0, 1)]
    assert sorted(found, key=min) == [uids(a), uids(b)]


# -- doubt (by whose images they are: test_right_patient) -----------------------------------------------------------


async def test_other_bytes_under_a_known_uid_are_held_once_however_often_they_come(box: House) -> None:
    await box.send(Image())
    await box.settled()
    other = Image(pixels=b"\x09\x09" * 50)
    for _ in range(3):
        await box.send(other)
    await box.settled()
    shares = await box.shares()
    assert [row["state"] for row in shares] == ["open", "held"]
    assert [row["instances"] for row in shares] == [1, 1]
    assert box.opened().datasets == {Image().uid: Image().dataset}


async def test_bytes_that_are_no_dataset_are_kept_and_held(box: House) -> None:
    from tests.fakes.spool import arrival, store

    garbage = await store(box.spool, random.Random(1).randbytes(5000), arrival("1.2.826.4711.9"))
    box.receiving.stored(garbage, box.call())
    await box.until(lambda: not box.receiving.behind)
    (share,) = await box.until_rows("shares", lambda rows: rows, limit=9)
    assert share["state"] == "held"
    assert share["held_because"]


# -- crashes -----------------------------------------------------------------------------------------------------------


async def test_what_was_safe_but_not_listed_is_taken_up_at_the_next_start(make_house: MakeHouse) -> None:
    vault, several = RememberingVault(), images("A", 150)
    async with make_house(vault=vault) as box:
        await box.send(*several)  # nobody looks at them
    async with make_house(vault=vault, clock=box.clock) as again:
        assert await again.recover() == 150
        again.start()
        await again.settled()
        assert set(again.opened().datasets) == uids(several)
        assert await again.receiving.recover() == 0


async def test_an_instance_of_a_profile_that_is_gone_does_not_keep_the_box_from_starting(make_house: MakeHouse) -> None:
    old = {"SHARE": terms(), "OLD": terms()}
    async with make_house(profiles=old) as box:
        await box.send(Image(profile="OLD"))
    async with make_house(vault=box.vault, clock=box.clock) as again:
        assert await again.recover() == 1
        again.start()
        (share,) = await again.operating.command("shares-list", {"held": True})  # what it had to wait for is lost
        await again.operating.command("shares-release", {"id": share["id"], "by": "ada"})
        await again.settled()
        assert len(again.opened().datasets) == 1


async def test_a_slip_of_a_profile_that_is_gone_can_still_be_reprinted(make_house: MakeHouse) -> None:
    async with make_house(profiles={"SHARE": terms(), "OLD": terms()}) as box:
        box.start()
        await box.send(Image(profile="OLD"))
        await box.settled()
    async with make_house(vault=box.vault, clock=box.clock) as again:
        await again.recover()
        again.start()
        await again.operating.command("slips-reprint", {"number": "S-00001", "why": "lost"})
        await again.settled()
        assert len(again.opened().datasets) == 1


# -- peers -------------------------------------------------------------------------------------------------------------


def request(calling: str = "CT1", called: str = "SHARE") -> AssociateRequest:
    return AssociateRequest(called, calling, (), 16384, "1.2.3")


def judged(rejection: Rejection | None) -> tuple[int, int, int] | None:
    return None if rejection is None else (rejection.result, rejection.source, rejection.reason)


async def test_an_unknown_peer_is_parked_and_may_send_once_approved(make_house: MakeHouse) -> None:
    async with make_house() as box:
        box.receiving.peers = Peers([], UnknownPeers.PARK)
        box.start()
        for _ in range(3):
            assert judged(box.receiving.admit(request(), "10.20.0.5")) == (1, 1, 3)
        (parked,) = await box.until_rows("peers", lambda rows: rows and rows[0]["attempts"] == 3)
        assert (parked["ae_title"], parked["address"], parked["state"]) == ("CT1", "10.20.0.5", "parked")
        await box.operating.command("peers-approve", {"ae_title": "CT1"})
        assert box.receiving.admit(request(), "10.20.0.5") is None
        assert judged(box.receiving.admit(request(), "10.20.0.6")) == (1, 1, 3)  # an AE title alone proves nothing


async def test_the_wrong_called_title_is_told_so(box: House) -> None:
    assert judged(box.receiving.admit(request(called="NOBODY"), "10.20.0.5")) == (1, 1, 7)


async def test_known_peers_are_an_ae_title_in_a_network(box: House) -> None:
    box.receiving.peers = Peers([KnownPeer.of("CT1", "10.20.0.0/24")], UnknownPeers.REFUSE)
    assert box.receiving.admit(request(), "10.20.0.77") is None
    assert box.receiving.admit(request(), "::ffff:10.20.0.77") is None
    assert judged(box.receiving.admit(request(), "10.21.0.1")) == (1, 1, 3)
    assert judged(box.receiving.admit(request("CT2"), "10.20.0.77")) == (1, 1, 3)
    assert judged(box.receiving.admit(request(), "not an address")) == (1, 1, 3)


@pytest.mark.parametrize("unknown", list(UnknownPeers))
async def test_a_peer_with_a_certificate_is_known_by_nothing_else(
    box: House, unknown: UnknownPeers, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither by a network that it is in, nor by an approval, nor where strangers are let in."""
    pinned = KnownPeer.of("CT1", "10.20.0.5", "ab" * 32)
    box.receiving.peers = Peers([KnownPeer.of("CT1", "10.20.0.0/24"), pinned], unknown)
    box.receiving.peers.add(KnownPeer.of("CT1", "10.20.0.5"))
    assert box.receiving.admit(request(), "10.20.0.5", "ab" * 32) is None
    assert judged(box.receiving.admit(request(), "10.20.0.5", "cd" * 32)) == (1, 1, 3)
    assert "cd" * 32 in caplog.messages[-1]
    assert judged(box.receiving.admit(request(), "10.20.0.5")) == (1, 1, 3)
    assert "showed no certificate" in caplog.messages[-1]
    assert judged(box.receiving.admit(request(), "::ffff:10.20.0.5")) == (1, 1, 3)
    assert box.receiving.admit(request(), "10.20.0.6") is None  # another machine, known by its network


async def test_whoever_calls_under_ever_new_names_does_not_fill_the_journal(make_house: MakeHouse) -> None:
    async with make_house() as box:
        box.receiving.peers = Peers([], UnknownPeers.PARK)
        box.start("receiving")
        await box.operating.command("peers-approve", {"ae_title": "GOOD", "address": "10.20.0.9"})
        for n in range(1000):
            box.receiving.admit(request(f"SCAN{n}"), "10.66.6.6")
            if n % 100 == 0:
                await box.until(lambda: not box.receiving._alerts._unknown)
        await box.until(lambda: not box.receiving._alerts._unknown)
        rows = await box.rows("peers")
        assert len(rows) <= 300
        assert any(row["ae_title"] == "GOOD" and row["state"] == "approved" for row in rows)


async def test_a_senders_name_cannot_write_lines_into_the_log(box: House, caplog: pytest.LogCaptureFixture) -> None:
    box.receiving.peers = Peers([], UnknownPeers.PARK)
    box.receiving.admit(request("X\nERROR all is lost"), "10.66.6.6")
    box.receiving.admit(request("CT1", "Y\r\n\x1b[2J"), "10.66.6.6")
    box.receiving.peers = Peers([], UnknownPeers.ACCEPT)
    box.receiving.admit(request("CT1\x1b[2J", "Y\r\n"), "10.66.6.6")
    for record in caplog.records:
        assert record.getMessage().isprintable()
