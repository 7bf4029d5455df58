"""A slip is cut off only when its code has been read; else it is spoilt, so that nobody hands it out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from PIL import Image

from appliance.adapters.printers.conversation import ConversingPrinter
from appliance.adapters.printers.read_back import WITHIN_S, ReadBack
from appliance.config import parse
from appliance.daemon.compose import slip_look
from appliance.daemon.paper import paper
from appliance.formats import printer_profiles, read_back, slip_bitmap
from appliance.formats.slip_lines import wrap
from appliance.formats.slip_sheet import Sheet
from appliance.ports import PrintJob, PrintOutcome
from tests.escpos_reader import decode_qr
from tests.fakes.imagers import SeeingImager, TellingImager
from tests.pictures import FACE, URL
from tests.printing.machine import Fault, Machine, MachineLine, Piece
from tests.printing.virtual_time import run

MODELS = {
    "TM-T20II": PrintOutcome.PRINTED,
    "generic-80": PrintOutcome.PRINTED,
    "generic-80-gs-r": PrintOutcome.PRINTED,
    "generic-80-mute": PrintOutcome.TAKEN,
}
FEED_MM = 30
SLIP_ROWS = slip_bitmap.render(FACE, 576).height


def slip(model: str) -> PrintJob:
    profile = printer_profiles.find(model)
    printer = {"model": model, "imager": "serial:///dev/ttyACM0", "imager_feed_mm": FEED_MM}
    look = slip_look(parse({"printer": printer}))
    return paper("S-00001", slip_bitmap.render(FACE, 576), URL, profile, b"0001", look)


def printed(model: str, look: Callable[[Machine], Awaitable[str | None]] | None) -> tuple[PrintOutcome, Machine]:
    async def play() -> tuple[PrintOutcome, Machine]:
        machine = Machine()
        eye = ReadBack(SeeingImager(lambda: look(machine))) if look else None
        printer = ConversingPrinter(MachineLine(machine), printer_profiles.find(model), read_back=eye)
        outcome = await printer.print(slip(model))
        await asyncio.sleep(10)  # what a mute one still holds comes out
        return outcome, machine

    return run(play())


async def reads(machine: Machine) -> str:
    """What hangs there, uncut. A mute printer's is looked at while it is still printed."""
    while len(machine.pieces[-1].rows) < SLIP_ROWS:
        await machine.change()
    return decode_qr(hanging(machine))


async def sees_nothing(machine: Machine) -> None:
    await asyncio.sleep(WITHIN_S)


async def sees_another(machine: Machine) -> str:
    await asyncio.sleep(0.5)
    return URL[:-1] + "x"


def hanging(machine: Machine) -> Image.Image:
    return machine.pieces[-1].picture


def cut_off(machine: Machine) -> list[Piece]:
    return machine.pieces[:-1]


@pytest.mark.parametrize("model", MODELS)
def test_a_slip_whose_code_was_read_is_cut_off_and_whole(model):
    outcome, machine = printed(model, reads)
    assert outcome is MODELS[model]
    (piece,) = cut_off(machine)
    assert decode_qr(piece.picture) == URL
    assert piece.picture.height == pytest.approx(SLIP_ROWS + FEED_MM * 8, abs=16)
    assert machine.letters == b""


@pytest.mark.parametrize("look", [sees_nothing, sees_another])
@pytest.mark.parametrize("model", MODELS)
def test_a_slip_whose_code_was_not_read_is_unknown_and_spoilt_before_it_is_cut(model, look):
    outcome, machine = printed(model, look)
    assert outcome is PrintOutcome.UNKNOWN
    first = cut_off(machine)[0].picture
    mark = read_back.void_mark(576)
    assert first.crop((0, first.height - mark.height, 576, first.height)).tobytes() == mark.tobytes()
    assert machine.letters == b""


def test_nothing_is_cut_before_the_code_was_read():
    async def looks(machine: Machine) -> str:
        assert cut_off(machine) == []
        return decode_qr(hanging(machine))

    assert printed("TM-T20II", looks)[0] is PrintOutcome.PRINTED


def test_who_can_read_nothing_back_cuts_nothing_good_off():
    assert printed("TM-T20II", None)[0] is PrintOutcome.UNKNOWN


@pytest.mark.parametrize(
    "fault", [Fault.POWER_CYCLE, Fault.UNPLUGGED, Fault.COVER_OPEN, Fault.PAPER_OUT, Fault.SILENCE]
)
def test_a_printer_that_fails_between_reading_and_cutting_leaves_the_slip_unknown(fault):
    async def reads_then(machine: Machine) -> str:
        machine.strike(fault, 60.0)
        return URL

    assert printed("TM-T20II", reads_then)[0] is PrintOutcome.UNKNOWN


def test_a_slip_that_was_not_printed_is_not_even_looked_at():
    eye = TellingImager(URL)

    async def play() -> PrintOutcome:
        machine = Machine()
        machine.arm(Fault.SILENCE, 4_000, 60.0)
        profile = printer_profiles.find("TM-T20II")
        return await ConversingPrinter(MachineLine(machine), profile, read_back=ReadBack(eye)).print(slip("TM-T20II"))

    assert run(play()) is PrintOutcome.UNKNOWN
    assert eye.codes == [URL]


def test_without_an_imager_a_slip_is_one_job():
    look = slip_look(parse({}))
    job = paper("S-00001", slip_bitmap.render(FACE, 576), URL, printer_profiles.find("TM-T20II"), b"0001", look)
    assert (job.ending, job.void, job.code_sha256) == (b"", b"", b"")


def test_the_mark_says_void_and_why_on_any_paper():
    for dots in (360, 384, 512, 576):
        mark = read_back.void_mark(dots)
        assert mark.width == dots
        dark = 1 - sum(mark.convert("L").histogram()[128:]) / (mark.width * mark.height)
        assert dark > 0.15


@pytest.mark.parametrize("dots", [360, 384, 512, 576])
def test_nothing_of_the_marks_words_is_left_out(dots):
    sheet = Sheet(dots, large=True)
    bold = sheet.type(sheet.sizes.body, bold=True)
    assert " ".join(wrap(read_back.WHY, sheet.room, bold.width, 4)) == read_back.WHY
    assert bold.width(read_back.VOID) < sheet.room - 6 * 8
