"""The blocks: what every slip, a patient's or the box's own, is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from appliance.core.completeness import Source, Verdict
from appliance.formats import slip_layout as layout
from appliance.formats import slip_pin
from appliance.formats.languages import LANGUAGES
from appliance.formats.slip_code import PaperTooNarrowError
from appliance.formats.slip_lines import ELLIPSIS, wrap
from appliance.formats.slip_sheet import GRID, Sheet
from appliance.formats.slip_words import words
from tests.escpos_reader import decode_qr
from tests.pictures import FACE, URL, pin_face

PAPERS = [384, 512, 576]
LONG = "A sentence of many words that goes on until it needs more than one line"


def blocks(sheet: Sheet) -> list[Image.Image]:
    return [
        layout.heading(sheet, LONG),
        layout.paragraph(sheet, LONG),
        layout.mark(sheet, "COPY 2"),
        layout.mark(sheet, ""),
        layout.code(sheet, URL),
        layout.logo(sheet, b""),
        layout.steps(sheet, [("1", LONG), ("2", "b")]),
        layout.rule(sheet),
        layout.cut_line(sheet),
        layout.facts(sheet, [("Valid until", LONG), ("Slip", "S-1"), ("Born", "1970")]),
        layout.table(sheet, [("Address", "10.20.0.5"), ("What is wrong", LONG * 2)]),
        layout.notices(sheet, [LONG, "The clock is wrong."]),
        layout.boxes(sheet, [LONG]),
        layout.poster(sheet, "402 771"),
        layout.barcode(sheet, "ACC20270112", LONG, "ACC20270112"),
        layout.barcode(sheet, "not: coded", LONG, LONG),
        layout.barcode(sheet, "", LONG, ""),
    ]


@pytest.mark.parametrize("dots", PAPERS)
@pytest.mark.parametrize("large", [False, True])
def test_every_block_is_as_wide_as_the_paper_and_stands_on_the_grid(dots, large):
    for block in blocks(Sheet(dots, large=large)):
        assert block.mode == "1"
        assert block.width == dots
        assert block.height % GRID == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_block_prints_into_the_margin(language):
    sheet = Sheet(384, language)
    for block in [
        layout.steps(sheet, [("1", LONG)]),
        layout.facts(sheet, [("a", LONG)]),
        layout.notices(sheet, [LONG]),
    ]:
        inked = np.flatnonzero((~np.array(block)).any(axis=0))
        assert inked[0] >= sheet.sizes.margin
        assert inked[-1] < sheet.dots - sheet.sizes.margin


def test_steps_start_where_the_language_does():
    left = np.array(layout.steps(Sheet(576, "en"), [("1", "a")]))
    right = np.array(layout.steps(Sheet(576, "he"), [("1", "א")]))
    assert (~left[:, :100]).any()
    assert not (~left[:, 476:]).any()
    assert not (~right[:, :100]).any()
    assert (~right[:, 476:]).any()


def test_a_status_slip_can_be_stacked_from_blocks():
    sheet = Sheet(576)
    page = sheet.stack(
        [
            layout.heading(sheet, "Slipway box"),
            layout.table(sheet, [("Address", "10.20.0.5:104"), ("Vault", "https://vault.example.org")]),
            layout.rule(sheet),
            layout.notices(sheet, ["The printer's cover is open. Close it."]),
            layout.code(sheet, URL),
        ],
        edge=2 * GRID,
    )
    assert page.width == 576
    assert decode_qr(page) == URL
    assert sheet.unprintable == []


def test_stacked_blocks_do_not_overlap():
    sheet = Sheet(576)
    parts = [layout.paragraph(sheet, text) for text in ("one", "two")]
    page = sheet.stack(parts, gap=8)
    assert page.height == parts[0].height + 8 + parts[1].height
    assert (~np.array(page)).sum() == sum((~np.array(part)).sum() for part in parts)


def test_a_sheet_tells_which_characters_it_could_not_print():
    sheet = Sheet(576)
    layout.paragraph(sheet, "a\U00013000")
    assert sheet.unprintable == ["\U00013000"]


@pytest.mark.parametrize("dots", [0, 100, 383, 570])
def test_a_width_that_no_slip_fits_is_refused(dots):
    with pytest.raises(PaperTooNarrowError):
        Sheet(dots)


def test_an_address_keeps_its_order_on_the_second_line_of_a_slip_that_runs_from_right_to_left():
    sheet = Sheet(576, "ar")
    kind = sheet.type(30)
    first, second = kind.line("\u2068Dr Hill, Riverside Practice,\u2069"), kind.line("\u206812 Mill Lane\u2069")
    room = first.width + 40
    column = sheet.text("\u2068Dr Hill, Riverside Practice, 12 Mill Lane\u2069", kind, room, 3, even=False)
    assert column.height == first.height + second.height
    kept = column.crop((column.width - second.width, first.height, column.width, column.height))
    assert kept.tobytes() == second.tobytes()


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("dots", [384, 576])
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_of_ours_on_a_slip_is_cut_short(language, dots, large):
    """In the room that `slip_bitmap` and `slip_pin` give it: (text, size, bold, lines)."""
    sheet = Sheet(dots, language, large)
    sizes = sheet.sizes
    verdicts = [Verdict(source, 12_345, 12_345, quiet_s=120.0) for source in Source]
    verdicts += [Verdict(Source.QUERY, 12_000, 12_345, missing) for missing in (1, 345)]
    said = words(replace(FACE, language=language, hand_to="x", note="x", barcode="1"))
    told = slip_pin.words(replace(pin_face("en"), language=language))
    texts = [(words(replace(FACE, language=language, verdict=one)).verdict, sizes.body, False, 4) for one in verdicts]
    texts += [(label, sizes.label, False, 2) for label, _ in said.remarks] + [(said.barcode[1], sizes.label, False, 2)]
    texts += [(told.heading, sizes.body, True, 3), (told.closing, sizes.body, True, 4)]
    texts += [(told.pin, 2 * sizes.title, True, 1)] if not large else []  # that paper is never in large print
    for text, size, bold, lines in texts:
        assert not wrap(text, sheet.room, sheet.type(size, bold=bold).width, lines)[-1].endswith(ELLIPSIS), text
