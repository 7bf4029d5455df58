"""The short paper for whoever scans: in every language, whole, and nothing of the number but its end."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import zxingcpp
from PIL import Image

from appliance.formats import escpos, printer_profiles, slip_scanned
from appliance.formats.languages import LANGUAGES, RIGHT_TO_LEFT
from appliance.formats.slip_lines import unbreakable, wrap
from appliance.formats.slip_scanned import HELD_LIST, PULL, REPRINT, Became, ScannedFace, words
from appliance.formats.slip_sheet import Sheet
from tests.formats.test_slip_words import plain
from tests.pictures import ADMINISTRATOR, FOLDER, NARROW, WIDE, scanned_face, scanned_papers

NOT_FETCHED, ALREADY = "What was scanned was not fetched", "Scanned already"
COMMANDS = {Became.SEVERAL_PATIENTS: PULL, Became.SLIP_IS_OUT: REPRINT, Became.HELD: HELD_LIST}


@pytest.mark.parametrize(
    ("became", "heading", "what", "do"),
    [
        (Became.NOTHING_FOUND, NOT_FETCHED, "no study with this accession number", "Check the number"),
        (Became.NO_NUMBER, NOT_FETCHED, "is no accession number", "Scan the accession number"),
        (Became.SEVERAL_PATIENTS, NOT_FETCHED, "Several patients", "slipway pull --study UID"),
        (Became.NOT_ANSWERED, NOT_FETCHED, "does not answer", "Scan again"),
        (Became.REFUSED, NOT_FETCHED, "refuses", "PACS administrator"),
        (Became.NOT_SENT, NOT_FETCHED, "does not send it", "PACS administrator"),
        (Became.NOT_SENT_YET, NOT_FETCHED, "goes on trying", ""),
        (Became.SLIP_IS_OUT, ALREADY, "S-00042", "slipway slips reprint"),
        (Became.HELD, ALREADY, "Somebody must decide", "slipway shares list --held"),
        (Became.ON_ITS_WAY, ALREADY, "the slip follows", ""),
    ],
)
def test_it_says_what_became_of_the_number_and_what_to_do(became, heading, what, do):
    said = words(scanned_face("en", became))
    assert said.heading == heading
    assert what in plain(said.what)
    assert do in plain(said.do)
    assert bool(said.do) is bool(do)
    assert plain(said.ending) == "The number ends in …42."


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != "en"])
@pytest.mark.parametrize("became", Became)
def test_every_language_says_it_in_its_own_words(language, became):
    english, said = words(replace(scanned_face(language, became), language="en")), words(scanned_face(language, became))
    assert said.heading != english.heading
    assert said.what != english.what
    assert said.ending != english.ending
    assert plain(said.do) != plain(english.do) or became in (Became.HELD, Became.NOT_SENT_YET, Became.ON_ITS_WAY)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("dots", [NARROW, WIDE])
def test_every_paper_has_all_its_letters_inside_its_margins_and_no_code(language, dots):
    for became in Became:
        picture, unprintable = slip_scanned.drawn(scanned_face(language, became), dots)
        assert unprintable == []
        inked = np.flatnonzero((~np.array(picture)).any(axis=0))
        margin = Sheet(dots, language).sizes.margin
        assert margin <= inked[0]
        assert inked[-1] < dots - margin
        assert zxingcpp.read_barcodes(picture.convert("L")) == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("dots", [NARROW, WIDE])
def test_nothing_is_cut_and_no_command_is_broken(language, dots):
    sheet = Sheet(dots, language)
    bold, body = sheet.type(sheet.sizes.body, bold=True), sheet.type(sheet.sizes.body)
    for became in Became:
        said = words(scanned_face(language, became))
        for text in (said.heading, said.detail_heading):
            assert "".join(wrap(text, sheet.room, bold.width, 4)).replace(" ", "") == text.replace(" ", "")
        assert max(map(body.width, unbreakable(said.do)), default=0) <= sheet.room
        command = COMMANDS.get(became, "")
        assert any(command in plain(piece) for piece in unbreakable(said.do)) or not command


@pytest.mark.parametrize("language", sorted(RIGHT_TO_LEFT))
def test_commands_numbers_and_english_run_from_left_to_right_in_any_language(language):
    for became, text in ((Became.HELD, "--held"), (Became.SLIP_IS_OUT, "S-00042"), (Became.NOTHING_FOUND, "…42")):
        said = words(scanned_face(language, became))
        shown = f"{said.what} {said.do} {said.ending}"
        assert re.search(f"\u2066[^\u2069]*{re.escape(text)}\u2069", shown)
    picture = slip_scanned.render(scanned_face(language, Became.REFUSED), WIDE)
    last = np.flatnonzero((~np.array(picture))[-60:].any(axis=0))  # "Request 12."
    assert last[-1] < WIDE // 2


def test_what_the_administrator_needs_is_below_and_never_cut():
    said = words(scanned_face("de", Became.REFUSED))
    assert said.detail_heading == "Für die PACS-Administration:"
    assert said.detail == ADMINISTRATOR
    assert words(ScannedFace(Became.REFUSED)).detail_heading == ""
    long = "The PACS refuses the association: " + "it does not know the box. " * 6
    few = slip_scanned.render(ScannedFace(Became.REFUSED, detail=(long,)), NARROW)
    more = slip_scanned.render(ScannedFace(Became.REFUSED, detail=(long + "Add it, and its address.",)), NARROW)
    assert more.height > few.height


def test_a_number_too_short_to_be_hidden_is_not_told_at_all():
    assert words(ScannedFace(Became.NOTHING_FOUND)).ending == ""


def test_a_face_hides_the_number_from_logs():
    assert "42" not in repr(ScannedFace(Became.NOTHING_FOUND, "42"))
    assert "42" not in repr(words(ScannedFace(Became.NOTHING_FOUND, "42")))


@pytest.mark.parametrize("hostile", ["\x1dV\x00", "\x1b@", "\u202e", "x" * 5000, "\ud800"])
def test_nothing_that_was_scanned_reaches_the_printer_as_a_command(hostile):
    profile = printer_profiles.find("TM-T20III")
    face = scanned_face("en", Became.SLIP_IS_OUT)
    said = replace(face, ending=hostile, site=hostile, slips=(hostile,), detail=(hostile,), language=hostile)
    data = escpos.slip(slip_scanned.render(said, WIDE), profile, b"a1b2")
    assert data.count(b"\x1dV") == escpos.slip(slip_scanned.render(face, WIDE), profile, b"a1b2").count(b"\x1dV")


@pytest.mark.parametrize("name", scanned_papers())
def test_the_pictures_in_the_documents_are_papers_of_today(name):
    drawn = scanned_papers()[name]
    with Image.open(FOLDER / f"{name}.png") as kept:
        assert kept.width == drawn.width
        assert abs(kept.height - drawn.height) <= 0.05 * drawn.height


def test_the_documents_have_no_picture_that_nobody_draws():
    assert {path.stem for path in FOLDER.glob("scanned-*.png")} == set(scanned_papers())
