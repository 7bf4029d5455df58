"""Order, joining and glyphs. HarfBuzz itself says what letters become; the picture is compared with pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import uharfbuzz
from PIL import Image

from appliance.formats import slip_fonts
from appliance.formats.slip_shaping import NO_GLYPH, Type, bidi_levels
from appliance.formats.slip_words import words
from tests.pictures import FACE


def ink(text: str, language: str = "en", size: int = 40) -> Image.Image:
    line = Type(language, size).line(text)
    return line.crop(line.point(lambda dot: 0 if dot else 255).getbbox())


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and one.tobytes() == other.tobytes()


def test_a_number_in_arabic_runs_from_left_to_right():
    levels = bidi_levels("رقم 42", right_to_left=True)
    assert levels == [1, 1, 1, 1, 2, 2]


def test_arabic_stands_from_right_to_left_in_any_language():
    assert same(ink("اب", "ar"), ink("اب", "en"))
    both = np.array(ink("ا ب", "ar"))
    columns = np.flatnonzero((~both).sum(axis=0))
    # Alef, the narrow one, comes first and so stands at the right.
    assert columns[-1] - np.flatnonzero(np.diff(columns) > 2)[-1] > 0
    assert (~both[:, -6:]).sum() > (~both[:, :6]).sum()


def starts_with(picture: Image.Image, part: Image.Image) -> bool:
    """Whether `part` is what stands at the left edge, at whatever height."""
    left = picture.crop((0, 0, part.width, picture.height))
    return same(left.crop(left.point(lambda dot: 0 if dot else 255).getbbox()), part)


def test_what_comes_last_in_an_arabic_line_stands_at_its_left():
    assert starts_with(ink("اب 12", "ar"), ink("12"))
    assert starts_with(ink("اب Ada 12", "ar"), ink("Ada 12"))
    assert not starts_with(ink("اب Ada", "en"), ink("Ada"))


def test_brackets_open_towards_what_they_hold():
    assert starts_with(ink("(ا)", "ar"), ink("("))


@pytest.mark.parametrize("language", ["ar", "fa", "he", "ur"])
def test_a_telephone_number_in_the_closing_line_can_be_dialled_as_it_stands(language):
    said = words(replace(FACE, language=language)).closing[-1]
    assert starts_with(ink(said, language), ink(FACE.phone, "en"))


def test_a_latin_name_keeps_its_own_order_on_a_slip_from_right_to_left():
    said = words(replace(FACE, language="ar", site="Imaging Dept."))
    assert same(ink(said.site, "ar"), ink("Imaging Dept."))


def test_arabic_letters_join():
    joined, apart = (np.array(ink(text, "ar")) for text in ("ببب", "ب‌ب‌ب"))
    assert not joined.all(axis=0).any()
    assert apart.all(axis=0).any()


def test_a_zero_width_non_joiner_keeps_persian_letters_apart():
    assert not same(ink("می‌شود", "fa"), ink("میشود", "fa"))


def test_devanagari_conjuncts_and_vowel_signs_are_formed():
    hindi = Type("hi", 40)
    assert hindi.width("क्ष") < hindi.width("क") + hindi.width("ष")
    # The sign for i is spoken after its consonant and written before it.
    assert not same(ink("कि", "hi"), ink("क", "hi"))


def test_a_telephone_number_in_a_hebrew_line_is_not_turned_round():
    number = ink("03 123", "en")
    line = np.array(ink("⁦03 123⁩", "he"))
    assert line.shape == np.array(number).shape
    assert (line == np.array(number)).all()


def test_han_characters_are_drawn_as_the_language_writes_them():
    assert not same(ink("直骨", "ja"), ink("直骨", "zh_Hans"))
    assert not same(ink("直骨", "zh_Hant"), ink("直骨", "zh_Hans"))


def test_a_character_that_no_font_has_is_a_question_mark_and_is_told():
    unknown = "\U00013000"  # an Egyptian hieroglyph
    assert Type("en", 40).unprintable(f"a{unknown}b") == [unknown]
    assert same(ink(f"a{unknown}b"), ink(f"a{NO_GLYPH}b"))


# One text in each repertoire that a DICOM character set can bring, and some that only Unicode has.
NAMES = [
    "Wałęsa Şükrü Ðặng Œuvre", "Ψαλίδας", "Їжак Ђорђе", "שִׁירָה", "عَبْدُ اللهِ", "สมชาย", "山田太郎", "ﾔﾏﾀﾞ", "ヤマダ",
    "홍길동", "洪吉洞", "王小东", "黃曉東", "㐂龘鿏", "क्षीरसागर", "চট্টোপাধ্যায়", "ژالہ چوہدری", "தமிழ்", "ქართული",
    "Հայ", "አማርኛ",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", ["en", "ar", "ja", "hi"])
def test_names_in_every_repertoire_have_their_letters_on_every_slip(name, language):
    assert Type(language, 30).unprintable(name) == []
    assert Type(language, 30).line(name).width > 20


@pytest.mark.parametrize("name", NAMES)
def test_no_glyph_is_an_empty_box(name):
    """Each run, shaped by HarfBuzz with the font that was chosen for it: glyph 0 is the box."""
    for run in Type("en", 30)._runs(name):
        font = uharfbuzz.Font(uharfbuzz.Face(slip_fonts.blob(run.family), run.family.index))
        buffer = uharfbuzz.Buffer()
        buffer.add_str(run.letters)
        buffer.guess_segment_properties()
        uharfbuzz.shape(font, buffer)
        assert 0 not in [glyph.codepoint for glyph in buffer.glyph_infos]


@pytest.mark.parametrize("text", ["", " ", "‌‍", "⁦⁩", "́", "Z̸̢a̴l̷g̸o̶", "👩‍⚕️", "\ufffd", "a" * 200])
def test_any_text_can_be_drawn(text):
    assert Type("ar", 30).line(text).height >= 30


def test_tall_letters_are_not_cut():
    """Two marks above a capital, and below: more ink than an ordinary line is high."""
    line = np.array(Type("vi", 30).line("Ỗ̂Ậ̣"))
    assert line[0].all() or line.shape[0] > 1.28 * 30
