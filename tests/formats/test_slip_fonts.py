"""Fonts that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.formats import slip_bitmap, slip_fonts
from tests.pictures import face

PACKAGES = (Path(__file__).parents[2] / "image" / "packages.txt").read_text().split()


@pytest.fixture
def fonts_in(tmp_path, monkeypatch):
    """A folder of fonts with nothing in it; what is cached of the true one is forgotten, now and afterwards."""

    def forget() -> None:
        for cached in (slip_fonts.font, slip_fonts.family_for, slip_fonts.characters):
            cached.cache_clear()

    monkeypatch.setattr(slip_fonts, "FOLDER", tmp_path)
    forget()
    yield tmp_path
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize(
    ("language", "package"),
    [("en", "fonts-dejavu-core"), ("ar", "fonts-noto-core"), ("hi", "fonts-noto-core"), ("ja", "fonts-noto-cjk")],
)
def test_a_missing_font_says_which_package_brings_it(fonts_in, language, package):
    with pytest.raises(slip_fonts.FontMissingError) as caught:
        slip_fonts.font(slip_fonts.primary(language), 30)
    assert package in caught.value.hint


def test_a_slip_without_its_fonts_is_not_drawn(fonts_in):
    with pytest.raises(slip_fonts.FontMissingError):
        slip_bitmap.render(face("ar"), 576)


def test_a_damaged_font_is_a_missing_one(fonts_in):
    broken = fonts_in / slip_fonts.DEJAVU.regular
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"not a font")
    with pytest.raises(slip_fonts.FontMissingError):
        slip_fonts.font(slip_fonts.DEJAVU, 30)


def test_every_font_is_in_a_package_of_the_box():
    families = {*slip_fonts.FALLBACKS, *slip_fonts.PRIMARY.values()}
    assert {family.package for family in families} <= set(PACKAGES)


def test_every_font_that_a_slip_may_want_is_there():
    slip_fonts.check()


def test_the_check_finds_one_font_that_is_missing(fonts_in):
    for family in {*slip_fonts.FALLBACKS, *slip_fonts.PRIMARY.values()} - {slip_fonts.KOREAN, slip_fonts.HEBREW}:
        for name in (family.regular, family.bold):
            (fonts_in / name).parent.mkdir(parents=True, exist_ok=True)
            (fonts_in / name).unlink(missing_ok=True)
            (fonts_in / name).symlink_to(Path("/usr/share/fonts") / name)
    with pytest.raises(slip_fonts.FontMissingError, match="Hebrew"):
        slip_fonts.check()
