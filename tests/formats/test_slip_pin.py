"""The paper that tells staff a PIN: large, short, in every language, and nothing on it that opens anything."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import zxingcpp
from PIL import Image

from appliance.core.initials import initials
from appliance.formats import escpos, printer_profiles, slip_pin
from appliance.formats.languages import LANGUAGES
from tests.formats.test_slip_words import plain
from tests.pictures import FOLDER, NARROW, PEOPLE, WIDE, pin_face, pin_papers

FACE = pin_face("en")


def test_it_says_whose_and_what_and_what_to_do_with_it():
    said = slip_pin.words(FACE)
    assert said.heading == "STAFF: PIN for slip S-00042"
    assert said.facts == (("Patient, born", "A.R. · 1970"),)
    assert plain(said.pin) == "402 771"
    assert said.closing == "Tell only the patient, then throw this away."


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("dots", [NARROW, WIDE])
def test_every_language_has_all_its_letters_and_no_code(language, dots):
    said = replace(pin_face("en"), language=language, initials=initials(PEOPLE[language][1]))
    picture, unprintable = slip_pin.drawn(said, dots)
    assert unprintable == []
    assert picture.width == dots
    assert zxingcpp.read_barcodes(picture.convert("L")) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pin_is_never_cut_and_its_digits_are_those_that_patients_type(language):
    said = slip_pin.words(replace(FACE, language=language))
    assert re.sub(r"\D", "", said.pin) == "402771"
    assert said.pin.isascii() or plain(said.pin).isascii()


@pytest.mark.parametrize("dots", [320, NARROW, 512, WIDE])
def test_the_pin_is_the_largest_thing_on_it(dots):
    rows = (~np.array(slip_pin.render(FACE, dots))).any(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], rows.astype(int), [0]])))
    *others, tallest = sorted(edges[1::2] - edges[::2])
    assert tallest > 1.3 * max(others)


@pytest.mark.parametrize("secret", ["402771", "A.R.", "1970"])
def test_a_face_hides_the_pin_and_the_patient_from_logs(secret):
    assert secret not in repr(FACE)
    assert secret not in repr(slip_pin.words(FACE))


@pytest.mark.parametrize("hostile", ["\x1dV\x00", "\x1b@", "\u202e", "x" * 5000, "\ud800"])
def test_no_name_reaches_the_printer_as_a_command(hostile):
    profile = printer_profiles.find("TM-T20III")
    said = replace(FACE, initials=hostile, birth_year=hostile, number=hostile, language=hostile)
    data = escpos.slip(slip_pin.render(said, WIDE), profile, b"a1b2")
    assert data.count(b"\x1dV") == escpos.slip(slip_pin.render(FACE, WIDE), profile, b"a1b2").count(b"\x1dV")


@pytest.mark.parametrize("name", pin_papers())
def test_the_pictures_in_the_documents_are_papers_of_today(name):
    drawn = pin_papers()[name]
    with Image.open(FOLDER / f"{name}.png") as kept:
        assert kept.width == drawn.width
        assert abs(kept.height - drawn.height) <= 0.05 * drawn.height


def test_the_documents_have_no_picture_that_nobody_draws():
    assert {path.stem for path in FOLDER.glob("pin-*.png")} == set(pin_papers())
