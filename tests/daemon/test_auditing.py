"""The audit trail: one record an event, whole transactions, and a chain that shows what was done to it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from appliance.adapters.journal import JournalError
from appliance.core.link import LinkEvent
from appliance.daemon.auditing import ROW_BYTES, Trail, Verdict, box_started, box_stopped
from appliance.formats import audit
from appliance.formats.audit import Event, Kind, Outcome
from appliance.formats.sealed import Sealer
from appliance.ports import Transaction
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import KEY, PATIENT_ID, House, Image, images
from tests.fakes.clock import FakeClock
from tests.fakes.slip_printers import SilentOncePrinter

DAY_S = 86400.0


async def kinds(box: House) -> Counter[Kind]:
    return Counter(event.kind for event in await box.trail())


# -- one record an event -----------------------------------------------------------------------------------------------


async def test_each_event_of_a_share_has_exactly_one_record(box: House) -> None:
    await box.send(*images("A", 3), peer=(peer := box.call()))
    box.receiving.closed(peer)
    await box.settled()
    share = (await box.shares())[0]["share_id"].hex()
    await box.operating.command("shares-show", {"id": share, "by": "ada"})
    await box.operating.command("shares-extend", {"id": share, "days": 3, "by": "ada"})
    await box.operating.command("slips-reprint", {"number": "S-00001", "why": "lost", "by": "ada"})
    await box.settled()
    await box.operating.command("shares-revoke", {"id": share, "why": "wrong patient", "by": "bob"})
    await box.settled()
    assert await kinds(box) == {
        Kind.TRANSFER_BEGUN: 1,
        Kind.TRANSFERRED: 1,
        Kind.SHARE_UPLOADED: 1,
        Kind.SLIP_PRINTED: 2,
        Kind.SHARE_SHOWN: 1,
        Kind.LINK_EXTENDED: 1,
        Kind.SLIP_REPRINTED: 1,
        Kind.LINK_REVOKED: 2,
        Kind.SHARE_REVOKED: 1,
    }


async def test_a_record_says_who_asked_and_why_and_of_whom(box: House) -> None:
    await box.send(Image())
    await box.settled()
    await box.operating.command("slips-reprint", {"number": "s-00001", "why": "unreadable", "by": "ada"})
    (event,) = [one for one in await box.trail() if one.kind is Kind.SLIP_REPRINTED]
    share = (await box.shares())[0]["share_id"].hex()[:8]
    assert (event.by, event.why, event.slip, event.share) == ("ada", "unreadable", "S-00001", share)
    assert (event.patient, event.studies) == (f"{PATIENT_ID}-A", (Image().study_uid,))


async def test_revoking_twice_is_one_event(box: House) -> None:
    await box.send(Image())
    await box.settled()
    share = (await box.shares())[0]["share_id"].hex()
    for _ in range(2):
        await box.operating.command("shares-revoke", {"id": share})
    assert (await kinds(box))[Kind.SHARE_REVOKED] == 1


async def test_paper_of_which_nobody_knows_is_an_export_that_did_not_go_well(make_house: MakeHouse) -> None:
    async with make_house(printer=SilentOncePrinter()) as box:
        box.start()
        await box.send(Image())
        await box.settled()
        outcomes = [one.outcome for one in await box.trail() if one.kind is Kind.SLIP_PRINTED]
    assert outcomes == [Outcome.MINOR_FAILURE, Outcome.SUCCESS]


async def test_who_looks_at_patients_is_recorded_and_an_empty_list_is_not(box: House) -> None:
    await box.operating.command("shares-list", {"by": "ada"})
    assert await box.trail() == []
    await box.send(Image())
    await box.settled()
    await box.operating.command("shares-list", {"by": "ada"})
    await box.operating.command("slips-list", {"by": "ada"})
    listed = [(one.by, one.about) for one in await box.trail() if one.kind is Kind.PATIENTS_LISTED]
    assert listed == [("ada", "1 shares"), ("ada", "1 slips")]


async def test_a_record_is_not_there_when_what_it_records_is_not(box: House) -> None:
    class PowerWentError(Exception):
        pass

    await box.send(Image())
    await box.settled()
    before = len(await box.trail())

    def work(tx: Transaction) -> None:
        box.transitions.link(tx, 1, LinkEvent.REVOKED)
        raise PowerWentError

    with pytest.raises(PowerWentError):
        await box.journal.run(work)
    assert len(await box.trail()) == before


async def test_nothing_of_a_patient_is_in_clear_on_the_disk(box: House) -> None:
    await box.send(Image())
    await box.settled()
    assert any(event.patient for event in await box.trail())
    raw = b"".join(path.read_bytes() for path in box.folder.glob("journal.db*"))
    assert PATIENT_ID.encode() not in raw
    assert Image().study_uid.encode() not in raw


# -- the box itself ----------------------------------------------------------------------------------------------------


async def start(box: House, **settings: Any) -> None:
    value = {"site": {"name": "A"}, "dicom": {"peer": [], "listen": ["x"]}} | settings
    trail = box.transitions.trail
    await box.journal.run(lambda tx: box_started(tx, trail, Sealer(KEY), value, "1.0"))


async def test_start_and_stop_are_recorded_and_an_end_without_a_stop_is_told(make_house: MakeHouse) -> None:
    async with make_house() as box:
        await start(box)
        await box.journal.run(lambda tx: box_stopped(tx, box.transitions.trail))
        await start(box)
        await start(box)
        events = await box.trail()
    assert [event.kind for event in events] == [Kind.STARTED, Kind.STOPPED, Kind.STARTED, Kind.STARTED]
    assert [bool(event.why) for event in events] == [False, False, False, True]


async def test_changed_settings_are_named_by_their_keys(make_house: MakeHouse) -> None:
    async with make_house() as box:
        await start(box)
        await start(box, site={"name": "B"}, dicom={"peer": [{"ae_title": "CT1"}], "listen": ["x"]})
        changed = [event.about for event in await box.trail() if event.kind is Kind.SETTINGS_CHANGED]
    assert changed == ["dicom.peer, site.name"]


# -- the chain ---------------------------------------------------------------------------------------------------------


async def filled(box: House, count: int) -> Trail:
    """Records a day apart."""
    trail = box.transitions.trail

    def work(tx: Transaction) -> None:
        for n in range(count):
            trail.record(tx, Event(Kind.PEER_APPROVED, calling=f"CT{n}", address="10.20.0.5"))
            box.clock.advance(DAY_S)

    await box.journal.run(work)
    return trail


async def verdict(box: House) -> Verdict:
    return await box.transitions.trail.verify(box.journal)


def by_hand(path: Path, *statements: str) -> None:
    """As somebody with the disk and SQLite, but without the spool key, would do it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for name in ("audit_is_never_changed", "audit_goes_from_its_old_end"):
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


async def test_an_untouched_trail_is_whole(make_house: MakeHouse) -> None:
    async with make_house() as box:
        assert (await verdict(box)).faults == []
        await filled(box, 1203)
        found = await verdict(box)
    assert (found.first, found.last, found.checked, found.faults) == (1, 1203, 1203, [])


TAMPERED = {
    "UPDATE audit SET at = at + 1 WHERE id = 5": "record 5 was altered",
    "UPDATE audit SET kind = 'stopped' WHERE id = 5": "record 5 was altered",
    "UPDATE audit SET sealed = (SELECT sealed FROM audit WHERE id = 6) WHERE id = 5": "record 5 was altered",
    "DELETE FROM audit WHERE id BETWEEN 5 AND 7": "records 5 to 7 are missing",
    "DELETE FROM audit WHERE id = 20": "record 20 is missing",
    "DELETE FROM audit WHERE id = 1": "record 1 is missing",
    "DELETE FROM audit": "records 1 to 20 are missing",
    "INSERT INTO audit SELECT 21, at, kind, sealed, mac FROM audit WHERE id = 20": "record 21 was altered",
    "UPDATE audit_chain SET first = 4, before = (SELECT mac FROM audit WHERE id = 3)": "begins and ends was altered",
    "UPDATE audit_chain SET last = 19": "begins and ends was altered",
}


@pytest.mark.parametrize("statement", TAMPERED)
async def test_what_was_done_to_the_trail_shows(make_house: MakeHouse, statement: str) -> None:
    async with make_house() as box:
        await filled(box, 20)
    by_hand(box.folder / "journal.db", statement)
    async with make_house(clock=box.clock) as again:
        assert TAMPERED[statement] in "; ".join((await verdict(again)).faults)
        await filled(again, 3)
        assert TAMPERED[statement] in "; ".join((await verdict(again)).faults)  # going on does not heal it


async def test_two_records_that_changed_places_show(make_house: MakeHouse) -> None:
    async with make_house() as box:
        await filled(box, 20)
    moves = ("UPDATE audit SET id = 99 WHERE id = 5", "UPDATE audit SET id = 5 WHERE id = 6")
    by_hand(box.folder / "journal.db", *moves, "UPDATE audit SET id = 6 WHERE id = 99")
    async with make_house(clock=box.clock) as again:
        assert "record 5 was altered" in "; ".join((await verdict(again)).faults)


@pytest.mark.parametrize("statement", ["UPDATE audit SET at = 1 WHERE id = 2", "DELETE FROM audit WHERE id = 2"])
async def test_the_box_itself_can_neither_change_nor_drop_a_record(make_house: MakeHouse, statement: str) -> None:
    async with make_house() as box:
        await filled(box, 3)
        box.journal._statements["bad"] = statement
        with pytest.raises(JournalError, match="audit records"):
            await box.journal.run(lambda tx: tx.do("bad"))


# -- retention ---------------------------------------------------------------------------------------------------------


async def test_the_oldest_go_when_they_are_too_old_and_the_rest_is_verifiable(make_house: MakeHouse) -> None:
    async with make_house() as box:
        trail = await filled(box, 30)
        older_than = box.clock.now() - 10 * DAY_S
        assert await box.journal.run(lambda tx: trail.shorten(tx, older_than)) == 20
        found = await verdict(box)
        assert (found.first, found.last, found.checked, found.faults) == (21, 30, 10, [])
        assert await box.journal.run(lambda tx: trail.shorten(tx, older_than)) == 0
        await filled(box, 1)
        assert (await verdict(box)).faults == []


async def test_the_oldest_go_when_all_are_too_large(make_house: MakeHouse) -> None:
    async with make_house() as box:
        trail = await filled(box, 30)
        most = 10 * (
            ROW_BYTES + len(audit.seal(1, Event(Kind.PEER_APPROVED, calling="CT10", address="10.20.0.5"), Sealer(KEY)))
        )
        assert await box.journal.run(lambda tx: trail.shorten(tx, None, most)) == 20
        assert (await verdict(box)).faults == []


async def test_a_trail_of_which_all_has_gone_goes_on_with_its_numbers(make_house: MakeHouse) -> None:
    async with make_house() as box:
        trail = await filled(box, 5)
        assert await box.journal.run(lambda tx: trail.shorten(tx, box.clock.now() + 1)) == 5
        await filled(box, 2)
        found = await verdict(box)
    assert (found.first, found.last, found.faults) == (6, 7, [])


async def test_the_sweeper_trusts_the_vaults_clock_only(make_house: MakeHouse) -> None:
    async with make_house() as box:
        await filled(box, 400)
        await box.journal.run(box.sweeping._shorten_trail)
        assert (await verdict(box)).first == 1
        box.vault_time[0] = box.clock.now()
        await box.journal.run(lambda tx: tx.do("put_meta", key="vault_since", value="0"))
        await box.journal.run(box.sweeping._shorten_trail)
        assert (await verdict(box)).first == 36


async def test_records_from_before_the_clock_was_right_are_not_old(make_house: MakeHouse) -> None:
    """A box without a battery starts in 1970: its first records would be the first to go."""
    async with make_house(clock=FakeClock(60.0)) as box:
        await filled(box, 400)
        box.vault_time[0] = 1_795_000_000.0
        for _ in range(2):
            await box.journal.run(box.sweeping._shorten_trail)
        assert (await verdict(box)).first == 1
