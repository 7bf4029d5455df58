"""What people at the printer see, are asked, and may say, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from appliance.daemon.slip_desk import ANSWER_WITHIN_S, JOB_TTL_S, waiting
from appliance.errors import NotFoundError, NotPossibleError
from tests.printing.box import PrintingBox
from tests.printing.machine import Fault, Machine
from tests.printing.virtual_time import run

MUTE, CONFIRMING = "generic-80-mute", "TM-T20II"
PRINTS_WITHIN_S = 10.0
TOLD_WITHIN_S = 5.0
REFILLED_AND_OUT_S = 8.0
SLIP_ROWS = 244


def now() -> float:
    return asyncio.get_running_loop().time()


def in_box(
    story: Callable[[PrintingBox], Awaitable[None]], model: str = CONFIRMING, machine: Machine | None = None
) -> None:
    """`story` with a box at work whose printer is idle and well."""

    async def play() -> None:
        box = PrintingBox(machine or Machine(), model)
        await box.start()
        try:
            await story(box)
        finally:
            await box.stop()

    run(play())


async def asked(box: PrintingBox) -> dict[str, Any]:
    return await box.journal.run(waiting)


# -- printers that prove nothing -----------------------------------------------------------------------------------


def test_a_printer_that_cannot_confirm_leaves_the_slip_to_staff_and_the_slip_works() -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(PRINTS_WITHIN_S)
        assert await box.slips() == ["unconfirmed"]
        assert (await asked(box))["slips_unconfirmed"] == ["S-00001"]
        assert len(box.live(now())) == 1

    in_box(story, MUTE)


def test_a_slip_that_staff_confirm_is_printed() -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(PRINTS_WITHIN_S)
        assert await box.desk.confirm({"number": "s-00001"}) == {
            "number": "S-00001",
            "state": "printed",
            "newest": "S-00001",
        }
        assert (await box.desk.confirm({"number": "S-00001"}))["state"] == "printed"  # said twice
        assert (await asked(box))["slips_unconfirmed"] == []

    in_box(story, MUTE)


def test_a_slip_that_staff_call_lost_is_dead_before_another_comes_out() -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(PRINTS_WITHIN_S)
        said = await box.desk.lost({"number": "S-00001"})
        assert said == {"number": "S-00001", "state": "unknown", "newest": "S-00002"}
        await asyncio.sleep(PRINTS_WITHIN_S)
        assert await box.slips() == ["unknown", "unconfirmed"]
        assert len(box.papers()) == 2
        assert len(box.live(now())) == 1
        assert not box.ever_two_live()

    in_box(story, MUTE)


def test_a_slip_that_nobody_speaks_of_counts_as_printed_in_the_end() -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(ANSWER_WITHIN_S - 60)
        assert await box.slips() == ["unconfirmed"]
        await asyncio.sleep(120)
        assert await box.slips() == ["printed"]
        assert len(box.live(now())) == 1

    in_box(story, MUTE)


def test_a_confirmed_slip_cannot_be_called_lost_but_says_how_it_is() -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(PRINTS_WITHIN_S)
        with pytest.raises(NotPossibleError, match="a slip that is printed cannot be lost"):
            await box.desk.lost({"number": "S-00001"})
        assert len(box.live(now())) == 1

    in_box(story)


@pytest.mark.parametrize("word", ["confirm", "lost"])
def test_while_a_slip_is_printing_the_printer_has_the_word(word: str) -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(5.0)
        assert await box.slips() == ["printing"]
        with pytest.raises(NotPossibleError):
            await getattr(box.desk, word)({"number": "S-00001"})
        await asyncio.sleep(60.0)
        assert await box.slips() == ["unknown", "printed"]

    machine = Machine()
    machine.arm(Fault.SILENCE, 4_000, 30.0)
    in_box(story, machine=machine)


def test_a_dead_slip_can_be_called_lost_again_but_not_confirmed() -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(PRINTS_WITHIN_S)
        await box.desk.lost({"number": "S-00001"})
        assert (await box.desk.lost({"number": "S-00001"}))["newest"] == "S-00002"
        with pytest.raises(NotPossibleError):
            await box.desk.confirm({"number": "S-00001"})

    in_box(story, MUTE)


@pytest.mark.parametrize("word", ["confirm", "lost", "release"])
def test_a_number_that_no_slip_has_is_said(word: str) -> None:
    async def story(box: PrintingBox) -> None:
        with pytest.raises(NotFoundError, match="no slip S-99999"):
            await getattr(box.desk, word)({"number": "S-99999"})

    in_box(story)


# -- slips whose turn comes late -----------------------------------------------------------------------------------


def out_of_paper(for_s: float) -> Machine:
    """At the first byte of the first slip."""
    machine = Machine()
    machine.arm(Fault.PAPER_OUT, 0, for_s)
    return machine


def test_a_backlog_does_not_come_out_unasked_after_the_paper_is_refilled() -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(JOB_TTL_S + 120)
        assert (await box.slips())[-1] == "overdue"
        assert (await asked(box))["slips_overdue"] == ["S-00002"]
        await asyncio.sleep(600)
        assert box.watch.trouble == "" or "dead paper" in box.watch.trouble  # the printer is well again
        assert box.live(now()) == []

    in_box(story, machine=out_of_paper(JOB_TTL_S + 300))


@pytest.mark.parametrize("which", [{"number": "S-00002"}, {"all": True}])
def test_a_slip_that_was_kept_back_comes_out_when_staff_release_it(which: dict[str, Any]) -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(JOB_TTL_S + 600)
        assert await box.desk.release(which) == {"released": ["S-00002"]}
        await asyncio.sleep(PRINTS_WITHIN_S)
        assert (await box.slips())[-1] == "printed"
        assert len(box.live(now())) == 1

    in_box(story, machine=out_of_paper(JOB_TTL_S + 300))


def test_a_released_slip_has_its_whole_time_again() -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(JOB_TTL_S + 120)
        await box.desk.release({"all": True})
        await asyncio.sleep(JOB_TTL_S - 60)
        assert (await box.slips())[-1] == "queued"

    in_box(story, machine=out_of_paper(JOB_TTL_S * 3))


def test_within_its_time_a_slip_prints_by_itself_as_soon_as_there_is_paper() -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await box.machine.mended.wait()
        await asyncio.sleep(REFILLED_AND_OUT_S)
        assert (await box.slips())[-1] == "printed"
        assert len(box.live(now())) == 1

    in_box(story, machine=out_of_paper(JOB_TTL_S - 120))


# -- what is said, and when ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words"),
    [(Fault.PAPER_OUT, "out of paper"), (Fault.COVER_OPEN, "cover is open"), (Fault.UNPLUGGED, "plugged in")],
)
def test_an_idle_printer_in_trouble_is_told_before_anybody_waits_for_a_slip(fault: Fault, words: str) -> None:
    async def story(box: PrintingBox) -> None:
        await asyncio.sleep(60)
        assert box.watch.trouble == ""
        box.machine.strike(fault, 60.0)
        await asyncio.sleep(TOLD_WITHIN_S)
        assert words in box.watch.trouble
        await asyncio.sleep(60)
        assert box.watch.trouble == ""

    in_box(story)


def test_paper_that_runs_out_under_a_slip_is_told_while_its_confirmation_is_awaited() -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(TOLD_WITHIN_S + 1.0)
        assert await box.slips() == ["printing"]
        assert "out of paper" in box.watch.trouble
        await asyncio.sleep(PRINTS_WITHIN_S)
        assert await box.slips() == ["printed"]  # the roll was changed in time

    machine = Machine()
    machine.arm(Fault.PAPER_OUT, 4_000, 10.0)
    in_box(story, machine=machine)


# -- after a doubt -------------------------------------------------------------------------------------------------


def test_what_the_printer_held_of_a_dead_slip_does_not_come_out_with_new_paper() -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await box.machine.mended.wait()
        burnt = len(box.machine.pieces[0].rows)
        await asyncio.sleep(REFILLED_AND_OUT_S)
        assert len(box.machine.pieces[0].rows) == burnt
        assert (await box.slips()) == ["unknown", "printed"]

    machine = Machine()
    machine.arm(Fault.PAPER_OUT, 4_000, 100.0)
    in_box(story, machine=machine)


@pytest.mark.parametrize("model", [CONFIRMING, "generic-80", "generic-80-gs-r"])
def test_half_a_slip_is_cut_off_before_the_next_one(model: str) -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(60)
        half, whole, *_ = box.machine.pieces
        assert await box.slips() == ["unknown", "printed"]
        assert half.rows
        assert len(box.papers()) == 1
        assert len(whole.rows) == SLIP_ROWS
        assert box.machine.letters == b""

    machine = Machine()
    machine.arm(Fault.UNPLUGGED, 100, 20.0)
    in_box(story, model, machine)


def test_a_printer_that_confirms_nothing_costs_one_slip_and_no_more_paper() -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(1200)
        assert (await box.slips())[0] == "unknown"
        assert len(await box.slips()) == 2
        assert len(box.papers()) == 1
        assert len(box.machine.pieces) == 2  # one cut
        assert "does not confirm" in box.watch.trouble

    in_box(story, machine=Machine(answers_process_ids=False))


def test_a_box_that_restarts_after_a_doubt_still_has_it() -> None:
    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(60)
        assert (await box.slips())[0] == "unknown"
        box.watch.in_doubt = False
        await box.printing.recover()
        assert box.watch.in_doubt

    in_box(story, machine=Machine(answers_process_ids=False))


def test_a_model_that_never_answers_in_its_turn_is_not_measured_by_it() -> None:
    """It says how it is, and takes the slip: a person looks."""

    async def story(box: PrintingBox) -> None:
        await box.open_share()
        await asyncio.sleep(PRINTS_WITHIN_S * 2)
        assert await box.slips() == ["unconfirmed"]

    in_box(story, "generic-80", Machine(answers_in_turn=False))
