"""Slips that wait for their patient's wristband."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from appliance.daemon.interlock import WRONG_IN_A_ROW, Scanning
from appliance.errors import NotFoundError, NotPossibleError, ScannerUnreachableError
from appliance.formats.audit import Kind, Outcome
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import PATIENT_ID, QUIET_S, VISIT_S, House, Image, terms

LOCKED = {"SHARE": terms(interlock=True)}
A_FEW_POLLS_S = 0.3
A_DAY_S = 86400.0
BAND_OF_A, BAND_OF_B = f"{PATIENT_ID}-A", f"{PATIENT_ID}-B"


@pytest.fixture
async def locked(make_house: MakeHouse) -> AsyncIterator[House]:
    async with make_house(profiles=LOCKED) as one:
        one.start()
        yield one


async def at_interlock(box: House, count: int) -> None:
    """Their links are registered, so nothing but the wristband keeps the slips."""
    await box.until_rows("slips_at_interlock", lambda rows: len(rows) == count)
    await box.until_rows("all_effects", lambda rows: [row["kind"] for row in rows] == ["print-slip"] * count)


async def test_a_slip_comes_out_only_after_its_patients_wristband(locked: House) -> None:
    await locked.send(Image())
    await at_interlock(locked, 1)
    await asyncio.sleep(A_FEW_POLLS_S)
    assert locked.printer.jobs == []
    assert await locked.interlock.scanned(f" {BAND_OF_A}  ") == ["S-00001"]
    await locked.until(lambda: len(locked.printer.jobs) == 1)


async def test_a_wristband_releases_its_own_patients_slip_and_no_other(locked: House) -> None:
    await locked.send(Image(patient="A"), Image(patient="B"))
    await at_interlock(locked, 2)
    assert await locked.interlock.scanned(BAND_OF_B) == ["S-00002"]
    await locked.until(lambda: locked.printer.jobs)
    await asyncio.sleep(A_FEW_POLLS_S)
    assert [job.number for job in locked.printer.jobs] == ["S-00002"]


@pytest.mark.parametrize("code", ["", "  ", BAND_OF_A.lower(), BAND_OF_A + "1", BAND_OF_A[:-1], "0" + BAND_OF_A])
async def test_what_is_not_the_patients_id_to_the_letter_releases_nothing(locked: House, code: str) -> None:
    await locked.send(Image())
    await at_interlock(locked, 1)
    with pytest.raises(NotFoundError) as raised:
        await locked.interlock.scanned(code)
    assert raised.value.summary == "no slip waits for this wristband"


async def test_a_restart_forgets_no_lock_and_no_release(make_house: MakeHouse) -> None:
    async with make_house(profiles=LOCKED) as box:
        box.start("receiving", "linking")
        await box.send(Image(patient="A"), Image(patient="B"))
        await at_interlock(box, 2)
        await box.interlock.scanned(BAND_OF_A)
    async with make_house(profiles=LOCKED) as box:
        await box.recover()
        box.start()
        await box.until(lambda: box.printer.jobs)
        await asyncio.sleep(A_FEW_POLLS_S)
        assert [job.number for job in box.printer.jobs] == ["S-00001"]


async def test_a_pattern_finds_the_id_in_a_code_that_holds_more(make_house: MakeHouse) -> None:
    async with make_house(profiles=LOCKED, patterns={"SHARE": r"V2;PID=([^;]+);.*"}) as box:
        box.start()
        await box.send(Image())
        await at_interlock(box, 1)
        with pytest.raises(NotFoundError):
            await box.interlock.scanned(BAND_OF_A)
        assert await box.interlock.scanned(f"V2;PID={BAND_OF_A};WARD=7") == ["S-00001"]


async def test_a_slip_that_waits_for_its_wristband_is_not_kept_back_for_waiting(locked: House) -> None:
    await locked.send(Image())
    await at_interlock(locked, 1)
    locked.clock.advance(A_DAY_S)
    await asyncio.sleep(A_FEW_POLLS_S)
    assert await locked.interlock.scanned(BAND_OF_A) == ["S-00001"]
    await locked.until(lambda: len(locked.printer.jobs) == 1)


async def test_status_and_list_say_which_slips_wait_and_the_list_for_whom(locked: House) -> None:
    await locked.send(Image())
    await at_interlock(locked, 1)
    status = await locked.operating.command("status", {})
    assert "Waiting for the patient's wristband: slip S-00001." in [one["what"] for one in status["sentences"]]
    assert (status["slips_locked"], status["slips_waiting"]) == (["S-00001"], 0)
    (slip,) = await locked.operating.command("slips-list", {})
    assert "wristband" in slip["to_do"]
    assert slip["patient"] == "A.C. 1970"


async def test_a_number_alone_does_not_open_the_interlock(locked: House) -> None:
    await locked.send(Image())
    await at_interlock(locked, 1)
    with pytest.raises(NotPossibleError, match="wristband"):
        await locked.operating.command("slips-release", {"number": "S-00001"})
    await asyncio.sleep(A_FEW_POLLS_S)
    assert locked.printer.jobs == []


async def test_a_release_is_recorded_with_who_asked(locked: House) -> None:
    await locked.send(Image())
    await at_interlock(locked, 1)
    said = await locked.operating.command("slips-release-wristband", {"wristband": BAND_OF_A, "by": "ada"})
    assert said == {"released": ["S-00001"]}
    (event,) = [one for one in await locked.trail() if one.kind is Kind.SLIP_RELEASED]
    assert (event.slip, event.by) == ("S-00001", "ada")


async def test_a_slip_that_was_replaced_while_it_waited_keeps_nothing_of_its_share(locked: House) -> None:
    await locked.send(Image())
    await at_interlock(locked, 1)
    await locked.operating.command("slips-reprint", {"number": "S-00001", "why": "lost"})
    await at_interlock(locked, 1)
    assert await locked.interlock.scanned(BAND_OF_A) == ["S-00002"]
    await locked.settled()
    locked.clock.advance(VISIT_S + QUIET_S)
    await locked.until_rows("shares", lambda rows: rows[0]["state"] == "closed", limit=1, step_s=1.0)


async def test_two_patients_with_one_id_are_never_released_by_one_scan(locked: House) -> None:
    twins = (Image(patient_id="4711"), Image(patient="B", patient_id="4711", name="ANOTHER^NAME"))
    await locked.send(twins[0])
    await at_interlock(locked, 1)
    await locked.send(twins[1])
    held, _ = await locked.until_rows("shares", lambda rows: len(rows) == 2, limit=9)
    await locked.operating.command("shares-release", {"id": held["share_id"].hex()})
    await at_interlock(locked, 2)
    with pytest.raises(NotPossibleError, match="S-00001, S-00002"):
        await locked.interlock.scanned("4711")
    assert await locked.interlock.scanned("4711", number="S-00002") == ["S-00002"]


async def test_a_slip_of_images_without_an_id_comes_out_once_a_person_has_released_its_share(locked: House) -> None:
    await locked.send(Image(patient_id=" "))
    (held,) = await locked.until_rows("shares", lambda rows: len(rows) == 1, limit=9)
    assert held["state"] == "held"
    await locked.operating.command("shares-release", {"id": held["share_id"].hex()})
    await locked.until(lambda: len(locked.printer.jobs) == 1)


async def test_wrong_scans_in_a_row_are_an_alert_and_a_right_one_begins_anew(locked: House) -> None:
    await locked.send(Image())
    await at_interlock(locked, 1)
    for _ in range(WRONG_IN_A_ROW - 1):
        with pytest.raises(NotFoundError):
            await locked.interlock.scanned("4712")
    await locked.interlock.scanned(BAND_OF_A)
    for _ in range(WRONG_IN_A_ROW):
        with pytest.raises(NotFoundError):
            await locked.interlock.scanned("4712")
    alerts = [one for one in await locked.trail() if one.kind is Kind.WRISTBANDS_WRONG]
    assert [(one.outcome, one.about) for one in alerts] == [(Outcome.MINOR_FAILURE, "5")]


async def test_another_slip_in_its_place_asks_for_the_wristband_again(locked: House) -> None:
    await locked.send(Image())
    await at_interlock(locked, 1)
    await locked.interlock.scanned(BAND_OF_A)
    await locked.settled()
    await locked.operating.command("slips-reprint", {"number": "S-00001", "why": "lost"})
    await at_interlock(locked, 1)
    await locked.interlock.scanned(BAND_OF_A)
    await locked.until(lambda: len(locked.printer.jobs) == 2)


class PluggedScanner:
    """Reads what `scans` says, is pulled out, and is there again."""

    def __init__(self, *scans: str) -> None:
        self._scans = list(scans)
        self.plugged = 0

    async def codes(self) -> AsyncIterator[str]:
        self.plugged += 1
        yield ""
        while self._scans:
            code = self._scans.pop(0)
            if code == "pulled":
                raise ScannerUnreachableError("/dev/ttyACM0 was unplugged")
            yield code
        await asyncio.Event().wait()


async def test_the_scanner_releases_and_is_taken_up_again_when_it_was_pulled_out(
    locked: House, caplog: pytest.LogCaptureFixture
) -> None:
    await locked.send(Image())
    await at_interlock(locked, 1)
    scanner = PluggedScanner("4712", "pulled", BAND_OF_A)
    scanning = Scanning(scanner, locked.interlock, retry_s=0.01)
    work = asyncio.create_task(scanning.run())
    await locked.until(lambda: len(locked.printer.jobs) == 1)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (scanner.plugged, scanning.trouble) == (2, "")
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert any("no slip waits for this wristband" in line for line in said)
    assert any("was unplugged" in line for line in said)
    assert not any("4712" in line for line in said)
