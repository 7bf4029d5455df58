"""The page of `slipway printer test` shows what it says: the whole line, what a bad head does to it, and which code is
the finest that is read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from appliance.formats import escpos, measuring_page, printer_profiles
from appliance.formats.measuring_page import MODULES_DOTS, code_text
from appliance.formats.slip_sheet import Sheet
from tests.codes import decoders
from tests.codes.camera import dilated, eroded, in_turn, turned
from tests.codes.pages import measuring_pages
from tests.escpos_reader import slips
from tests.pictures import FOLDER

PRINTERS = [
    ("TM-T20III", 80),
    ("TM-T20III", 58),
    ("generic-58", 58),
    ("TM-T88V", 80),
    ("TM-T88V", 58),
    ("CT-S310II", 80),
]


@pytest.fixture(params=PRINTERS, ids=lambda printer: f"{printer[0]} {printer[1]} mm")
def page(request: pytest.FixtureRequest) -> tuple[Image.Image, printer_profiles.Profile]:
    profile = printer_profiles.find(request.param[0])
    return measuring_page.draw(profile, request.param[1]), profile


def black(picture: Image.Image) -> np.ndarray:
    return ~np.asarray(picture.convert("1"))


def test_the_first_and_the_last_dot_of_the_line_are_marked(page):
    dots = black(page[0])
    for edge in (dots[:, :4], dots[:, -4:]):
        assert edge.all(axis=1).sum() >= 2 * 40  # the ruler's ends and the bar


def test_a_line_that_is_cut_off_at_the_right_loses_its_mark():
    """Printed as for 576 dots on a printer of 512."""
    dots = black(measuring_page.draw(printer_profiles.find("TM-T20III"), 80))
    ruler = dots[:, :512].all(axis=1).argmax()  # its long line
    assert dots[ruler + 50, -4:].all()
    assert not dots[ruler + 50, 508:512].any()


def test_ten_on_the_ruler_is_ten_millimetres_at_both_resolutions():
    assert printer_profiles.find("TM-T20III").dots_per_mm * 10 == pytest.approx(80, abs=0.2)
    assert printer_profiles.find("TM-T88V").dots_per_mm * 10 == pytest.approx(70.9, abs=0.1)


def test_a_dead_element_crosses_the_whole_bar(page):
    """Somewhere there is a run of rows that are black from edge to edge, taller than any letter's stroke."""
    whole = black(page[0]).all(axis=1)
    assert "1" * 48 in "".join("1" if row else "0" for row in whole)


def test_the_five_fields_grow_darker_step_by_step(page):
    sheet = Sheet(page[0].width)
    wedge, width = measuring_page._wedge(sheet), sheet.room // 5
    starts = [sheet.sizes.margin + width * place for place in range(5)]
    shares = [black(wedge.crop((start, 0, start + width - 8, wedge.height))).mean() for start in starts]
    assert shares == pytest.approx([1 / 8, 1 / 4, 1 / 2, 3 / 4, 7 / 8], abs=0.02)


def test_each_code_says_how_fine_it_is_to_both_decoders(page, tmp_path):
    wanted = {code_text(dots) for dots in MODULES_DOTS}
    assert set(decoders.zxing(page[0])) == wanted
    (by_zbar,) = decoders.zbar([page[0]], tmp_path)
    assert set(by_zbar) == wanted


@pytest.mark.parametrize("head", [eroded, dilated], ids=["cold head", "hot head"])
def test_a_bad_head_loses_the_finest_codes_and_keeps_those_that_slips_have(page, head):
    read = set(decoders.zxing(in_turn(head, turned)(page[0])))
    assert code_text(2) not in read
    assert {code_text(dots) for dots in (4, 5, 6)} <= read


def test_two_papers_are_cut_apart_with_one_confirmation():
    profile = printer_profiles.find("TM-T20III")
    pages = [measuring_page.draw(profile, 80), Image.new("1", (576, 64), 0)]
    data = escpos.papers(pages, profile, b"TEST")
    assert [page.tobytes() for page in slips(data)] == [page.tobytes() for page in pages]
    assert data.count(b"TEST") == 1


def test_the_advice_names_the_range_of_densities_where_there_is_one():
    assert "-6 to 8; now it is 3" in measuring_page.advice(printer_profiles.find("TM-L90", 3))
    assert "no command for it" in measuring_page.advice(printer_profiles.find("TM-T20III"))


def test_the_advice_asks_for_a_cut_only_where_there_is_a_cutter():
    assert "must be cut apart" in measuring_page.advice(printer_profiles.find("TM-T20III"))
    assert "does not cut" in measuring_page.advice(printer_profiles.find("generic-58"))


@pytest.mark.parametrize("name", ["test-page-80", "test-page-58"])
def test_the_pictures_in_the_documents_are_pages_of_today(name):
    kept = Image.open(FOLDER / f"{name}.png")
    assert kept.size == measuring_pages()[name].size
    assert set(decoders.zxing(kept)) == {code_text(dots) for dots in MODULES_DOTS}
