"""What is said to a printer, in which order, and what is made of its answers, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from PIL import Image

from appliance.adapters.printers.conversation import REHEARSAL, ConversingPrinter
from appliance.errors import PrinterUnreachableError
from appliance.formats import escpos, printer_profiles
from appliance.ports import Paper, PrintJob, PrintOutcome
from tests.printing.machine import Fault, Machine, MachineLine
from tests.printing.virtual_time import run

CONFIRMING, STATUS, IN_TURN_ONLY, MUTE = "TM-T20II", "generic-80", "generic-80-gs-r", "generic-80-mute"
DOTS = (192, 240)
LAST_BYTES = 5_700
AT_ONCE_S = 0.001


class RecordingLine(MachineLine):
    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.said: list[bytes] = []
        self.opened = 0

    async def open(self, within_s: float) -> None:
        self.opened += 1
        await super().open(within_s)

    async def write(self, data: bytes, within_s: float) -> None:
        self.said.append(data)
        await super().write(data, within_s)


class Talk:
    """A printer, the line to it and what goes over it."""

    def __init__(self, model: str, machine: Machine | None = None) -> None:
        self.machine = machine or Machine()
        self.line = RecordingLine(self.machine)
        self.profile = printer_profiles.find(model)
        self.printer = ConversingPrinter(self.line, self.profile)

    def job(self, *, after_doubt: bool = False, process_id: bytes = b"0001") -> PrintJob:
        picture = Image.effect_noise(DOTS, 99).convert("1")
        return PrintJob("S-00001", escpos.slip(picture, self.profile, process_id), b"", process_id, after_doubt)

    def place(self, command: bytes) -> int:
        return next(at for at, data in enumerate(self.line.said) if command in data)


def talk(story: Callable[[], Awaitable[None]]) -> None:
    async def play() -> None:
        await story()

    run(play())


# -- before --------------------------------------------------------------------------------------------------------


def test_a_model_without_real_time_status_is_asked_in_its_turn() -> None:
    async def story() -> None:
        one = Talk(IN_TURN_ONLY)
        status = await one.printer.status()
        assert status.ready
        assert status.paper is Paper.OK
        assert one.line.said == [escpos.ASK_PAPER_IN_TURN]

    talk(story)


def test_a_model_that_answers_in_its_turn_only_and_does_not_answer_is_not_ready() -> None:
    async def story() -> None:
        one = Talk(IN_TURN_ONLY)
        one.machine.strike(Fault.PAPER_OUT, 600.0)
        assert not (await one.printer.status()).ready
        assert await one.printer.print(one.job()) is PrintOutcome.REFUSED

    talk(story)


def test_a_fit_printer_is_not_cleared_for_nothing() -> None:
    async def story() -> None:
        one = Talk(CONFIRMING)
        assert await one.printer.print(one.job()) is PrintOutcome.PRINTED
        assert escpos.CLEAR not in one.line.said
        assert one.machine.pieces[0].rows

    talk(story)


# -- during --------------------------------------------------------------------------------------------------------


def test_how_the_printer_is_can_be_asked_while_a_slip_is_under_way_and_touches_no_line() -> None:
    async def story() -> None:
        one = Talk(CONFIRMING)
        one.machine.arm(Fault.COVER_OPEN, 4_000, 5.0)
        slip = asyncio.create_task(one.printer.print(one.job()))
        await asyncio.sleep(1.0)
        said, opened = len(one.line.said), one.line.opened
        async with asyncio.timeout(AT_ONCE_S):
            status = await one.printer.status()
        assert status.cover_open
        assert (len(one.line.said), one.line.opened) == (said, opened)
        await slip

    talk(story)


def test_who_asks_before_the_first_byte_of_a_slip_does_not_wait_for_its_end_either() -> None:
    async def story() -> None:
        one = Talk(CONFIRMING)
        one.machine.strike(Fault.LATE_ANSWERS, 60.0)
        slip = asyncio.create_task(one.printer.print(one.job()))
        await asyncio.sleep(AT_ONCE_S)
        async with asyncio.timeout(AT_ONCE_S):
            assert (await one.printer.status()).reachable
        assert await slip is PrintOutcome.REFUSED

    talk(story)


def test_a_printer_that_tells_nothing_by_itself_is_looked_at_while_its_answer_is_awaited() -> None:
    async def story() -> None:
        one = Talk(STATUS)
        one.machine.arm(Fault.PAPER_OUT, LAST_BYTES, 10.0)
        slip = asyncio.create_task(one.printer.print(one.job()))
        await asyncio.sleep(4.0)
        assert (await one.printer.status()).paper is Paper.OUT
        assert await slip is PrintOutcome.PRINTED  # new paper came in time, and the rest of the slip with it

    talk(story)


def test_automatic_status_is_off_again_after_the_slip() -> None:
    async def story() -> None:
        one = Talk(CONFIRMING)
        await one.printer.print(one.job())
        assert one.line.said[-1] == escpos.AUTOMATIC_OFF

    talk(story)


def test_a_line_that_breaks_behind_the_confirmation_does_not_take_it_back() -> None:
    class BreakingLine(RecordingLine):
        async def write(self, data: bytes, within_s: float) -> None:
            if data == escpos.AUTOMATIC_OFF:
                raise PrinterUnreachableError("unplugged")
            await super().write(data, within_s)

    async def story() -> None:
        one = Talk(CONFIRMING)
        printer = ConversingPrinter(BreakingLine(one.machine), one.profile)
        assert await printer.print(one.job()) is PrintOutcome.PRINTED

    talk(story)


# -- after ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "outcome"), [(STATUS, "printed"), (IN_TURN_ONLY, "printed"), (MUTE, "taken")])
def test_what_a_model_can_prove_is_what_its_word_is_worth(model: str, outcome: str) -> None:
    async def story() -> None:
        one = Talk(model)
        assert await one.printer.print(one.job()) == outcome

    talk(story)


def test_a_model_that_says_how_it_is_but_answers_nothing_in_its_turn_proves_nothing() -> None:
    async def story() -> None:
        one = Talk(STATUS, Machine(answers_in_turn=False))
        assert await one.printer.print(one.job()) is PrintOutcome.TAKEN

    talk(story)


def test_trouble_soon_after_such_a_slip_is_taken_for_its_own() -> None:
    async def story() -> None:
        one = Talk(STATUS, Machine(answers_in_turn=False))
        one.machine.arm(Fault.PAPER_OUT, LAST_BYTES, 60.0)
        assert await one.printer.print(one.job()) is PrintOutcome.UNKNOWN

    talk(story)


def test_a_printer_that_forgot_the_slip_does_not_answer_for_it_although_it_is_ready() -> None:
    async def story() -> None:
        one = Talk(STATUS)
        one.line = RecordingLine(one.machine)
        one.printer = ConversingPrinter(MachineLine(one.machine, serial=True), one.profile)
        one.machine.arm(Fault.POWER_CYCLE, LAST_BYTES, 0.5)
        assert await one.printer.print(one.job()) is PrintOutcome.UNKNOWN

    talk(story)


def test_the_late_word_on_an_earlier_slip_confirms_nothing() -> None:
    async def story() -> None:
        one = Talk(CONFIRMING)
        one.machine.arm(Fault.LATE_ANSWERS, 1_000, 8.0)
        assert await one.printer.print(one.job(process_id=b"0001")) is PrintOutcome.UNKNOWN
        one.machine.arm(Fault.SILENCE, LAST_BYTES, 100.0)
        assert await one.printer.print(one.job(process_id=b"0002")) is PrintOutcome.UNKNOWN

    talk(story)


def test_after_a_doubt_the_printer_is_told_at_once_to_forget_the_rest() -> None:
    async def story() -> None:
        one = Talk(CONFIRMING)
        one.machine.arm(Fault.PAPER_OUT, 3_000, 300.0)
        assert await one.printer.print(one.job()) is PrintOutcome.UNKNOWN
        assert one.line.opened == 2
        assert one.line.said[-1] == escpos.CLEAR

    talk(story)


# -- the next slip after a doubt -----------------------------------------------------------------------------------


def test_after_a_doubt_it_is_cleared_then_it_must_confirm_then_it_cuts_then_comes_the_slip() -> None:
    async def story() -> None:
        one = Talk(CONFIRMING)
        job = one.job(after_doubt=True)
        assert await one.printer.print(job) is PrintOutcome.PRINTED
        rehearsal = escpos.request_process_id(REHEARSAL)
        order = [one.place(command) for command in (escpos.CLEAR, rehearsal, b"\x1dVB\x00", job.data[:4096])]
        assert order == sorted(order)
        assert [bool(piece.rows) for piece in one.machine.pieces] == [False, True, False]

    talk(story)


def test_a_printer_that_does_not_confirm_an_empty_job_gets_no_slip_and_no_cut() -> None:
    async def story() -> None:
        one = Talk(CONFIRMING, Machine(answers_process_ids=False))
        assert await one.printer.print(one.job(after_doubt=True)) is PrintOutcome.REFUSED
        assert len(one.machine.pieces) == 1
        assert not one.machine.pieces[0].rows

    talk(story)


@pytest.mark.parametrize("model", [STATUS, IN_TURN_ONLY, MUTE])
def test_a_printer_that_cannot_be_cleared_ends_the_broken_picture_in_white_and_cuts(model: str) -> None:
    async def story() -> None:
        one = Talk(model)
        one.machine.take(one.job().data[:2_000])
        await asyncio.sleep(1.0)
        assert await one.printer.print(one.job(after_doubt=True)) in (PrintOutcome.PRINTED, PrintOutcome.TAKEN)
        await asyncio.sleep(1.0)
        broken, whole, *_ = one.machine.pieces
        assert len(broken.rows) == len(whole.rows) == DOTS[1]
        assert not any(broken.rows[-1])
        assert one.machine.letters == b""

    talk(story)


def test_a_printer_that_claims_to_clear_and_does_not_is_treated_as_one_that_cannot() -> None:
    class DeafMachine(Machine):
        def take(self, data: bytes) -> int:
            return len(data) if data == escpos.CLEAR else super().take(data)

    async def story() -> None:
        one = Talk(CONFIRMING, DeafMachine())
        assert await one.printer.print(one.job(after_doubt=True)) is PrintOutcome.PRINTED
        assert one.place(escpos.end_unfinished()[:4096]) > one.place(escpos.CLEAR)

    talk(story)
