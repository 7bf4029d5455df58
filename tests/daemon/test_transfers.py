"""Begin and end of each transfer: one record each for every study on every association, whatever happens in between."""

from __future__ import annotations

from appliance.errors import SpoolFullError
from appliance.formats.audit import Event, Kind, Outcome
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, Image, images


async def transfers(box: House) -> list[Event]:
    return [one for one in await box.trail() if one.kind in (Kind.TRANSFER_BEGUN, Kind.TRANSFERRED)]


async def ended(box: House, count: int) -> list[Event]:
    """When so many transfers have ended, all that was recorded of transfers."""
    return await box.until_answer(
        lambda: transfers(box), lambda found: sum(one.kind is Kind.TRANSFERRED for one in found) >= count
    )


async def test_two_studies_on_one_association_are_two_transfers(box: House) -> None:
    peer = box.call("CT1", "SHARE", "10.20.0.7")
    await box.send(*images("A", 3, study="1"), *images("A", 2, study="2"), *images("A", 3, study="1"), peer=peer)
    await box.settled()
    begun = await transfers(box)
    assert [one.kind for one in begun] == [Kind.TRANSFER_BEGUN] * 2
    box.receiving.closed(peer)
    found = [one for one in await ended(box, 2) if one.kind is Kind.TRANSFERRED]
    assert [(one.studies, one.instances, one.outcome) for one in found] == [
        ((Image(study="1").study_uid,), 6, Outcome.SUCCESS),
        ((Image(study="2").study_uid,), 2, Outcome.SUCCESS),
    ]
    assert all((one.calling, one.called) == ("CT1", "SHARE") for one in found)


async def test_one_image_an_association_is_a_transfer_each(box: House) -> None:
    await box.send(*images("A", 5))
    found = await ended(box, 5)
    assert [one.instances for one in found if one.kind is Kind.TRANSFERRED] == [1] * 5


async def test_an_association_that_brings_nothing_is_no_transfer(box: House) -> None:
    box.receiving.closed(box.call())
    await box.send(Image())
    assert len(await ended(box, 1)) == 2


async def test_instances_that_were_refused_are_told_with_the_transfer(box: House) -> None:
    peer = box.call()
    await box.send(Image(), peer=peer)
    for _ in range(3):
        box.receiving.complained("10.20.0.5", SpoolFullError("full"), peer)
    box.receiving.closed(peer)
    end = (await ended(box, 1))[-1]
    assert (end.outcome, end.instances, end.why) == (Outcome.MINOR_FAILURE, 1, "3 refused (spool_full)")


async def test_an_association_of_which_all_was_refused_has_one_record(box: House) -> None:
    peer = box.call()
    box.receiving.complained("10.20.0.5", SpoolFullError("full"), peer)
    box.receiving.closed(peer)
    (end,) = await ended(box, 1)
    assert (end.outcome, end.instances, end.studies) == (Outcome.SERIOUS_FAILURE, 0, ())


async def test_a_restart_ends_what_it_cut_short_and_counts_what_was_not_placed_yet(make_house: MakeHouse) -> None:
    async with make_house() as box:
        box.start("receiving")
        await box.send(*images("A", 3), peer=(peer := box.call()))
        await box.until_rows("transfers", lambda rows: rows and rows[0]["instances"] == 3)
        await box.stop("receiving")
        await box.send(Image(number=4), peer=peer)
        await box.send(Image(patient="B"), peer=peer)
    async with make_house(vault=box.vault, clock=box.clock) as again:
        assert await again.recover() == 2
        found = await transfers(again)
        assert await again.rows("transfers") == []
    assert [one.kind for one in found].count(Kind.TRANSFER_BEGUN) == 2
    ends = [one for one in found if one.kind is Kind.TRANSFERRED]
    assert [(one.instances, one.outcome) for one in ends] == [(4, Outcome.MINOR_FAILURE), (1, Outcome.MINOR_FAILURE)]
    assert all("stopped" in one.why for one in ends)


async def test_an_image_that_becomes_durable_when_its_sender_has_hung_up_is_counted(box: House) -> None:
    peer = box.call()
    await box.send(Image(number=1), peer=peer)
    box.receiving.closed(peer)
    await ended(box, 1)
    await box.send(Image(number=2), peer=peer)
    found = await ended(box, 2)
    assert sum(one.instances for one in found) == 2


# -- whom the box turned away ------------------------------------------------------------------------------------------


async def alerts(box: House) -> list[Event]:
    await box.until(lambda: not box.receiving._alerts._waiting)
    return [one for one in await box.trail() if one.outcome is not Outcome.SUCCESS]


async def test_a_sender_that_is_turned_away_is_one_alert_an_hour(make_house: MakeHouse) -> None:
    from tests.daemon.test_receiving import Peers, UnknownPeers, request

    async with make_house() as box:
        box.receiving.peers = Peers([], UnknownPeers.PARK)
        box.start("receiving")
        for _ in range(50):
            box.receiving.admit(request(), "10.66.6.6")
        assert [one.kind for one in await alerts(box)] == [Kind.PEER_UNKNOWN]
        box.clock.advance(3600)
        box.receiving.admit(request(), "10.66.6.6")
        assert len(await alerts(box)) == 2
        for n in range(1000):
            box.receiving.admit(request(f"SCAN{n}"), "10.66.6.6")
        found = await alerts(box)
    assert len(found) == 101
    assert "no more" in found[-1].why


async def test_ever_new_names_do_not_hide_wrong_tokens(make_house: MakeHouse) -> None:
    from appliance.errors import TokenWrongError
    from tests.daemon.test_receiving import Peers, UnknownPeers, request

    async with make_house() as box:
        box.receiving.peers = Peers([], UnknownPeers.PARK)
        box.start("receiving")
        for n in range(200):
            box.receiving.admit(request(f"SCAN{n}"), "10.66.6.6")
        box.receiving.complained("10.66.6.6", TokenWrongError("5 times a wrong token"))
        assert Kind.TOKENS_WRONG in {one.kind for one in await alerts(box)}


async def test_a_wrong_certificate_and_a_flood_are_alerts_and_a_slip_of_the_protocol_is_not(box: House) -> None:
    from appliance.errors import CertificateWrongError, FloodError, ProtocolError

    for error in (CertificateWrongError("no TLS"), FloodError("too many"), ProtocolError("a PDU of type 9")):
        box.receiving.complained("10.66.6.6", error)
    assert {one.kind for one in await alerts(box)} == {Kind.CERTIFICATE_WRONG, Kind.FLOODED}
