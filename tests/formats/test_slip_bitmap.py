"""The slip as a phone sees it: two decoders of different families, on good paper and on bad."""

from __future__ import annotations

import io
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from appliance.core.initials import initials
from appliance.errors import FormatError
from appliance.formats import escpos, printer_profiles, slip_bitmap
from appliance.formats.languages import LANGUAGES
from appliance.formats.slip_code import PaperTooNarrowError
from appliance.formats.slip_text import StaffHalf
from tests.escpos_reader import Interpreter, Raster, decode_qr, slips
from tests.pictures import FACE, FOLDER, URL, face, pictures

PAPERS = [384, 512, 576]  # dots; 58 mm, 80 mm at 180 dpi, 80 mm at 203 dpi


def zbar(picture: Image.Image, folder: Path) -> str:
    path = folder / "slip.png"
    picture.convert("L").save(path)
    run = subprocess.run(["zbarimg", "-q", "--raw", path], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def blurred(picture: Image.Image) -> Image.Image:
    return picture.convert("L").filter(ImageFilter.GaussianBlur(2))


def faded(picture: Image.Image) -> Image.Image:
    """Old paper: 30 % of the contrast is left."""
    return picture.convert("L").point(lambda level: 150 + level * 76 // 255)


def eroded(picture: Image.Image) -> Image.Image:
    """A cold head: each dark region loses a dot all round."""
    return picture.convert("L").filter(ImageFilter.MaxFilter(3))


def dilated(picture: Image.Image) -> Image.Image:
    """A hot head: each dark region gains a dot all round."""
    return picture.convert("L").filter(ImageFilter.MinFilter(3))


def skewed(picture: Image.Image) -> Image.Image:
    return picture.convert("L").rotate(3, expand=True, fillcolor=255)


def untouched(picture: Image.Image) -> Image.Image:
    return picture


@pytest.mark.parametrize("dots", PAPERS)
@pytest.mark.parametrize("worn", [untouched, blurred, faded, eroded, dilated, skewed])
def test_two_decoders_read_the_link_that_was_given_on_good_and_on_bad_paper(dots, worn, tmp_path):
    picture = worn(slip_bitmap.render(FACE, dots))
    assert decode_qr(picture) == URL
    assert zbar(picture, tmp_path) == URL


def symbol_box(picture: Image.Image) -> tuple[int, int, int, int]:
    """Of the code: the longest run of rows without a white one, edges as in Pillow."""
    inverted = picture.convert("L").point(lambda level: 255 - level)
    rows = [inverted.crop((0, row, picture.width, row + 1)).getbbox() is not None for row in range(picture.height)]
    runs, start = [], None
    for row, dark in enumerate([*rows, False]):
        if dark and start is None:
            start = row
        elif not dark and start is not None:
            runs.append((start, row))
            start = None
    top, bottom = max(runs, key=lambda run: run[1] - run[0])
    left, _, right, _ = inverted.crop((0, top, picture.width, bottom)).getbbox()
    return left, top, right, bottom


@pytest.mark.parametrize("dots", PAPERS)
def test_every_module_is_a_whole_number_of_dots_and_the_largest_that_fits(dots):
    picture = slip_bitmap.render(FACE, dots)
    left, top, right, bottom = symbol_box(picture)
    modules = 41  # version 6, for a link of 94 characters
    size, rest = divmod(right - left, modules)
    assert rest == 0
    assert (right - left) == (bottom - top)
    assert size >= 4
    assert (size + 1) * (modules + 8) > dots
    shrunk = picture.crop((left, top, right, bottom)).resize((modules, modules), Image.Resampling.NEAREST)
    grown = shrunk.resize((right - left, bottom - top), Image.Resampling.NEAREST)
    assert grown.tobytes() == picture.crop((left, top, right, bottom)).tobytes()


@pytest.mark.parametrize("dots", PAPERS)
def test_four_modules_around_the_code_are_white(dots):
    face = replace(FACE, site="M" * 60, phone="1" * 60)
    picture = slip_bitmap.render(face, dots)
    left, top, right, bottom = symbol_box(picture)
    quiet = 4 * (right - left) // 41
    around = picture.crop((left - quiet, top - quiet, right + quiet, bottom + quiet))
    around.paste(1, (quiet, quiet, around.width - quiet, around.height - quiet))
    assert around.convert("L").getextrema() == (255, 255)
    assert left >= quiet
    assert right + quiet <= dots


def test_a_link_whose_code_would_be_too_fine_is_refused():
    face = replace(FACE, url="https://vault.example.org/" + "x" * 500)
    with pytest.raises(PaperTooNarrowError, match=r"under 0\.5 mm"):
        slip_bitmap.render(face, 384)


def test_a_link_too_long_for_any_code_is_refused():
    with pytest.raises(FormatError, match="too long"):
        slip_bitmap.render(replace(FACE, url="https://v/" + "x" * 3000), 576)


def test_a_link_with_a_letter_that_is_not_ascii_is_refused():
    with pytest.raises(FormatError, match="ASCII"):
        slip_bitmap.render(replace(FACE, url="https://vault.example.org/é"), 576)


@pytest.mark.parametrize("dots", [0, 100, 383, 570])
def test_a_width_that_no_slip_fits_is_refused(dots):
    with pytest.raises(PaperTooNarrowError):
        slip_bitmap.render(FACE, dots)


@pytest.mark.parametrize(
    "site",
    [
        "",
        "W" * 5000,
        "放射線科 Клиника Ακτινολογία",
        "مستشفى الملك",
        "nul\0 bell\a escape\x1b@ group\x1dV0",
        "lone \ud800 surrogate",
        "\u202eright to left override",
        "👩‍⚕️ Z̸̢a̴l̷g̸o̶",
        "new\nline\ttab",
        "\u200d\u200c",
    ],
)
def test_any_site_name_makes_a_slip_with_a_readable_code(site):
    picture = slip_bitmap.render(replace(FACE, site=site), 384)
    assert picture.width == 384
    assert decode_qr(picture) == URL


def test_a_copy_is_marked_and_a_first_slip_is_not():
    first, copy = (slip_bitmap.render(replace(FACE, copy=number), 576) for number in (1, 2))
    assert copy.height > first.height
    assert decode_qr(copy) == URL


def test_slips_differ_only_by_what_they_say():
    assert slip_bitmap.render(FACE, 576).tobytes() == slip_bitmap.render(FACE, 576).tobytes()
    assert slip_bitmap.render(FACE, 576).tobytes() != slip_bitmap.render(replace(FACE, initials="B. S."), 576).tobytes()


def test_everything_stands_on_the_grid_of_eight_dots():
    for dots in PAPERS:
        picture = slip_bitmap.render(replace(FACE, copy=2, phone="01234 567890"), dots)
        assert picture.width % 8 == picture.height % 8 == 0


def test_the_png_is_the_same_picture():
    picture = slip_bitmap.render(FACE, 384)
    again = Image.open(io.BytesIO(slip_bitmap.png(picture)))
    assert again.mode == "1"
    assert again.tobytes() == picture.tobytes()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("dots", [384, 576])
def test_every_language_has_all_its_letters_and_a_readable_code(language, dots):
    said = replace(face(language), copy=2, staff=StaffHalf(language, "28 · CT"))
    for factor in ("birth-date", "pin", "none"):
        picture, unprintable = slip_bitmap.drawn(replace(said, factor=factor), dots)
        assert unprintable == []
    assert decode_qr(picture) == URL


def test_the_last_step_has_the_pictogram_of_what_it_asks_for():
    """The texts' part cut away: what differs then are the pictures."""
    icons = [slip_bitmap.render(replace(FACE, factor=factor), 576) for factor in ("birth-date", "pin", "none")]
    columns = {picture.crop((90, 620, 156, picture.height - 500)).tobytes() for picture in icons}
    assert len(columns) == 3


@pytest.mark.parametrize("dots", PAPERS)
def test_large_print_is_larger_and_its_code_reads(dots):
    normal, large = (slip_bitmap.render(replace(FACE, large_print=chosen), dots) for chosen in (False, True))
    assert large.height > 1.1 * normal.height
    assert decode_qr(large) == URL


def test_a_staff_half_stands_below_all_that_is_the_patients():
    alone = slip_bitmap.render(FACE, 576)
    both = slip_bitmap.render(replace(FACE, staff=StaffHalf("en", "28 Jan 2027 · CT")), 576)
    kept = alone.height - 2 * 8
    assert both.crop((0, 0, 576, kept)).tobytes() == alone.crop((0, 0, 576, kept)).tobytes()
    assert both.height > alone.height + 200
    assert decode_qr(both) == URL


# Bytes that printers obey: initialise, cut, open the drawer, raw raster, real-time requests, code page switches.
COMMANDS = [
    "\x1b@",
    "\x1dV\x00",
    "\x1bp\x00\x19\xfa",
    "\x1dv0\x00\x01\x00\x01\x00\xff",
    "\x10\x04\x01",
    "\x10\x14\x08",
    "\x1c.",
    "\x9b2J",
    "\x1bt\x10\n\r\x0c",
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("model", ["TM-T20III", "generic-58"])
def test_no_text_reaches_the_printer_as_a_command(command, model):
    """Through the whole renderer to the printer's bytes, and what an independent reader of those makes of them."""
    profile = printer_profiles.find(model)
    name = f"{command}Rivers{command}^{command}Ada{command}={command}"
    hostile = f"{command}x{command}"
    said = replace(
        FACE, site=hostile, number=hostile, initials=initials(name), birth_year=hostile, phone=hostile,
        language=hostile, staff=StaffHalf(hostile, hostile),
    )  # fmt: skip
    picture = slip_bitmap.render(said, profile.dots(80 if profile.dots_80 else 58))
    data = escpos.slip(picture, profile, b"a1b2")
    assert orders(data) == orders(escpos.slip(slip_bitmap.render(FACE, picture.width), profile, b"a1b2"))
    (page,) = slips(data)
    assert decode_qr(page) == URL


def orders(data: bytes) -> list[bytes]:
    """All commands but the picture's, as they were written."""
    return [written for command, written in Interpreter().feed(data) if not isinstance(command, Raster)]


def bands(picture: Image.Image) -> int:
    """Runs of rows with ink: lines of text, rules, the code."""
    rows = (~np.array(picture.convert("1"))).any(axis=1)
    return int((np.diff(rows.astype(int)) == 1).sum())


@pytest.mark.parametrize("name", pictures())
def test_the_pictures_in_the_documents_are_slips_of_today(name):
    """By what they hold, not dot by dot: another version of a font moves those."""
    kept = Image.open(FOLDER / f"{name}.png")
    drawn = slip_bitmap.render(*pictures()[name])
    assert kept.width == drawn.width
    assert abs(kept.height - drawn.height) <= 0.05 * drawn.height
    assert abs(bands(kept) - bands(drawn)) <= 2
    assert decode_qr(kept) == URL


def test_the_documents_have_no_picture_that_nobody_draws():
    assert {path.stem for path in FOLDER.glob("slip-*.png")} == set(pictures())


@pytest.mark.parametrize("language", ["en", "ar", "ja", "bn"])
def test_a_slip_is_drawn_in_less_than_half_a_second(language):
    slip_bitmap.render(face(language), 576)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        slip_bitmap.render(face(language), 576)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.5
