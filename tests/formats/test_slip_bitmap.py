"""The slip as a phone sees it: two decoders of different families, on good paper and on bad."""

from __future__ import annotations

import io
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageFilter

from appliance.errors import FormatError
from appliance.formats import slip_bitmap
from appliance.formats.link import Link
from appliance.formats.slip_text import SlipFace
from tests.escpos_reader import decode_qr

URL = Link("https://vault.example.org", bytes(range(16)), bytes(range(100, 132))).url
FACE = SlipFace(
    site="St Mary's Radiology",
    url=URL,
    number="K7-0042",
    initials="A. R.",
    birth_year="1970",
    valid_until="Thursday 28 January 2027",
)
PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
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
    with pytest.raises(slip_bitmap.PaperTooNarrowError, match=r"under 0\.5 mm"):
        slip_bitmap.render(face, 384)


def test_a_link_too_long_for_any_code_is_refused():
    with pytest.raises(FormatError, match="too long"):
        slip_bitmap.render(replace(FACE, url="https://v/" + "x" * 3000), 576)


def test_a_link_with_a_letter_that_is_not_ascii_is_refused():
    with pytest.raises(FormatError, match="ASCII"):
        slip_bitmap.render(replace(FACE, url="https://vault.example.org/é"), 576)


@pytest.mark.parametrize("dots", [0, 100, 383, 570])
def test_a_width_that_no_slip_fits_is_refused(dots):
    with pytest.raises(slip_bitmap.PaperTooNarrowError):
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


def test_a_missing_font_says_which_package_brings_it(monkeypatch):
    monkeypatch.setattr(slip_bitmap, "FONTS", Path("/nonexistent"))
    slip_bitmap._font.cache_clear()
    with pytest.raises(slip_bitmap.FontMissingError) as caught:
        slip_bitmap.render(FACE, 384)
    assert "fonts-dejavu-core" in caught.value.hint
    slip_bitmap._font.cache_clear()


def test_the_png_is_the_same_picture():
    picture = slip_bitmap.render(FACE, 384)
    again = Image.open(io.BytesIO(slip_bitmap.png(picture)))
    assert again.mode == "1"
    assert again.tobytes() == picture.tobytes()


@pytest.mark.parametrize(("name", "dots"), [("slip-58", 384), ("slip-80", 576)])
def test_the_pictures_in_the_documents_are_slips_of_today(name, dots):
    picture = Image.open(PICTURES / f"{name}.png")
    assert picture.size == slip_bitmap.render(FACE, dots).size
    assert decode_qr(picture) == URL


def test_a_slip_is_drawn_in_less_than_150_ms():
    slip_bitmap.render(FACE, 576)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        slip_bitmap.render(FACE, 576)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.150


def test_a_face_hides_the_link_and_the_patient_from_logs():
    assert URL not in repr(FACE)
    assert "A. R." not in repr(FACE)
    assert "1970" not in repr(FACE)
