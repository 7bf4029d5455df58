"""Numbers as Code 128: what two decoders that share no code make of the bars, alone and on a whole slip."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from appliance.formats import slip_bitmap
from appliance.formats.slip_barcode import FINEST_DOTS, QUIET_MODULES, bars
from tests.pictures import FACE, NARROW, REQUESTED, URL, WIDE

HEIGHT = 64
VALUES = ["4711", "ACC20270112", "A", "0", "00012345678901234567", "1.2.840.1", "K+7/9-B_C", "ab 12 cd", "$%^=*&#()"]
NO_SIGN = "█▀▄▌▐│║▓⣿🮀⬛▮■◼"


def by_zxing(picture: Image.Image) -> set[tuple[str, str]]:
    return {(str(code.format), code.text) for code in zxingcpp.read_barcodes(picture.convert("L"))}


def by_zbar(pictures: Sequence[Image.Image], folder: Path) -> list[set[tuple[str, str]]]:
    found = []
    for number, picture in enumerate(pictures):
        path = folder / f"{number}.pgm"
        picture.convert("L").save(path)
        run = subprocess.run(["zbarimg", "--quiet", path], capture_output=True, text=True, check=False, timeout=30)
        found.append({tuple(line.split(":", 1)) for line in run.stdout.splitlines()})
    return found


@pytest.mark.parametrize("dots", [NARROW, WIDE])
def test_both_decoders_read_what_was_given(dots, tmp_path):
    drawn = {value: bars(value, dots, HEIGHT) for value in VALUES}
    pictures = [picture for picture in drawn.values() if picture]
    assert len(pictures) >= len(VALUES) - 1
    read = by_zbar(pictures, tmp_path)
    for value, picture, by_zbar_too in zip([v for v in drawn if drawn[v]], pictures, read, strict=True):
        assert by_zxing(picture) == {("Code 128", value)}
        assert by_zbar_too == {("CODE-128", value)}


@settings(deadline=None, max_examples=150)
@given(st.from_regex(r"[0-9A-Za-z /+$%^=*_&#()-]{1,14}", fullmatch=True).map(str.strip).filter(bool))
def test_any_mixture_of_letters_and_digits_reads(value):
    picture = bars(value, WIDE, HEIGHT)
    assert picture is not None
    assert by_zxing(picture) == {("Code 128", value)}


def test_digits_stand_two_to_a_symbol():
    letters, digits = bars("ABCDEFGHIJKL", WIDE, HEIGHT), bars("123456789012", WIDE, HEIGHT)
    assert letters is not None
    assert digits is not None
    assert digits.width / 3 < letters.width / 2


@pytest.mark.parametrize("value", [*VALUES, "12345678901234567890123456789012345678901234"])
@pytest.mark.parametrize("dots", [NARROW, WIDE])
def test_modules_are_whole_dots_and_white_stands_on_both_sides(value, dots):
    picture = bars(value, dots, HEIGHT)
    if picture is None:
        return
    assert picture.width <= dots
    left, _, right, _ = picture.convert("L").point(lambda level: 255 - level).getbbox() or (0, 0, 0, 0)
    assert left == picture.width - right
    scale = left // QUIET_MODULES
    assert scale >= FINEST_DOTS
    small = picture.resize((picture.width // scale, 1), Image.Resampling.NEAREST)
    assert small.resize(picture.size, Image.Resampling.NEAREST).tobytes() == picture.tobytes()


@pytest.mark.parametrize(
    "value",
    [
        "https://evil.example.org/#x", "HTTPS://E.EX", "evil.example.org", "www.evil.org", "tel:0900123", "WIFI:S:x;;",
        "BEGIN:VCARD", "mailto:a@b.org", "a@b.org", URL, "", " \u00e9", "\u0661\u0662", "A\x1b@", "line\nline",
    ],
)  # fmt: skip
def test_nothing_that_a_phone_would_open_is_coded(value):
    assert bars(value, WIDE, HEIGHT) is None


@pytest.mark.parametrize(("dots", "fits", "too_long"), [(NARROW, "A" * 12, "A" * 13), (WIDE, "A" * 21, "A" * 22)])
def test_what_would_need_finer_bars_than_the_paper_takes_is_not_coded(dots, fits, too_long):
    assert bars(fits, dots, HEIGHT) is not None
    assert bars(too_long, dots, HEIGHT) is None
    assert bars("A" * 200, dots, HEIGHT) is None


# -- on a slip ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dots", [NARROW, WIDE])
@pytest.mark.parametrize("language", ["en", "ar", "ja"])
def test_a_slip_has_two_codes_that_read_and_only_one_is_for_phones(dots, language, tmp_path):
    picture = slip_bitmap.render(replace(REQUESTED, language=language), dots)
    assert by_zxing(picture) == {("QR Code", URL), ("Code 128", REQUESTED.barcode)}
    assert by_zbar([picture], tmp_path) == [{("QR-Code", URL), ("CODE-128", REQUESTED.barcode)}]


@pytest.mark.parametrize("dots", [NARROW, WIDE])
@pytest.mark.parametrize("blur", [0.6, 1.0])
def test_bars_that_ran_a_little_read_all_the_same(dots, blur):
    picture = slip_bitmap.render(REQUESTED, dots).convert("L").filter(ImageFilter.GaussianBlur(blur))
    assert ("Code 128", REQUESTED.barcode) in by_zxing(picture)


@pytest.mark.parametrize("dots", [NARROW, WIDE])
def test_a_value_that_cannot_be_coded_is_printed_as_text(dots):
    plain, long = (slip_bitmap.render(replace(FACE, barcode=value), dots) for value in ("", "https://evil.example/#x"))
    assert by_zxing(long) == {("QR Code", URL)}
    assert long.height > plain.height


@pytest.mark.parametrize("dots", [NARROW, WIDE])
def test_no_text_can_draw_a_code_of_its_own(dots, tmp_path):
    """Bars and blocks as characters, in every place that another system may write to."""
    bars_as_text = "".join("█▌▐▀▄▓ |"[n % 8] for n in (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3) * 10)
    for text in (bars_as_text, "\n".join([bars_as_text[:20]] * 9), NO_SIGN * 12, "⣿⡇⠿ " * 40):
        picture = slip_bitmap.render(replace(REQUESTED, note=text, hand_to=text, barcode=text), dots)
        assert by_zxing(picture) == {("QR Code", URL)}
        assert by_zbar([picture], tmp_path) == [{("QR-Code", URL)}]


@pytest.mark.parametrize("dots", [NARROW, WIDE])
def test_endless_text_takes_a_few_lines_and_leaves_the_code_as_it_is(dots):
    short = slip_bitmap.render(replace(REQUESTED, note="x", hand_to="x"), dots)
    for endless in ("W" * 100_000, "W W " * 50_000, "\n" * 100_000 + "x", "e" + "\u0301" * 100_000):
        long = slip_bitmap.render(replace(REQUESTED, note=endless, hand_to=endless, barcode=endless), dots)
        assert long.height < short.height + 320
        assert ("QR Code", URL) in by_zxing(long)
