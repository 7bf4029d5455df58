"""The words in every language, and the catalogues that they come from."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po

from appliance.core.completeness import Source, Verdict
from appliance.formats import slip_pin, slip_scanned, slip_words, status_slip
from appliance.formats.languages import LANGUAGES, first_known, known_language
from appliance.formats.slip_text import StaffHalf
from appliance.formats.slip_words import catalogue, day, moment, staff_words, words
from tests.pictures import FACE

LOCALE = Path(slip_words.__file__).parents[1] / "locale"
TRANSLATED = [language for language in LANGUAGES if language != "en"]
THEN = datetime(2027, 1, 28, 14, 5)  # noqa: DTZ001 - the site's own time


def texts_in_the_code() -> set[str]:
    modules = (slip_words, slip_pin, slip_scanned, status_slip)
    found = [one for module in modules for one in extract_from_file("python", module.__file__, keywords={"say": None})]
    return {str(message) for _, message, *_ in found}


def catalogue_file(language: str) -> dict[str, str]:
    path = LOCALE / language / "LC_MESSAGES" / "slipway.po"
    return {str(message.id): str(message.string) for message in read_po(io.BytesIO(path.read_bytes())) if message.id}


def plain(text: str) -> str:
    return re.sub("[\u2066-\u2069\u200e\u200f]", "", text).replace("\u00a0", " ").replace("\u202f", " ")


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_catalogue_has_every_text_and_no_other(language):
    found = catalogue_file(language)
    assert set(found) == texts_in_the_code()
    assert all(found.values())


def test_the_template_for_a_new_language_has_every_text():
    template = read_po(io.BytesIO((LOCALE / "slipway.pot").read_bytes()))
    assert {str(message.id) for message in template if message.id} == texts_in_the_code()


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_keeps_the_places_to_fill_in(language):
    for english, translated in catalogue_file(language).items():
        assert re.findall(r"{\w*}", english) == re.findall(r"{\w*}", translated)


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_short_enough_for_a_slip(language):
    assert all(len(catalogue(language)(text)) <= 75 for text in texts_in_the_code())


def test_there_is_a_catalogue_for_each_language_and_no_other():
    assert {path.name for path in LOCALE.iterdir() if path.is_dir()} == set(TRANSLATED)


@pytest.mark.parametrize(
    ("factor", "step"), [("birth-date", "date of birth"), ("pin", "PIN"), ("none", "See your images")]
)
def test_the_last_step_asks_for_the_factor_that_the_share_has(factor, step):
    assert step in words(replace(FACE, factor=factor)).steps[2][1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_three_steps(language):
    assert len({text for _, text in words(replace(FACE, language=language)).steps}) == 3


def test_staff_can_compare_initials_and_year_of_birth():
    assert ("Patient, born", "A.R. · 1970") in words(FACE).facts


@pytest.mark.parametrize(("initials", "year", "shown"), [("A.R.", "", "A.R."), ("", "1970", "1970"), ("", "", "–")])
def test_a_missing_name_or_year_leaves_no_stray_mark(initials, year, shown):
    assert words(replace(FACE, initials=initials, birth_year=year)).facts[1][1] == shown


def test_only_a_copy_says_that_it_is_one():
    assert words(FACE).copy == ""
    assert words(replace(FACE, copy=3)).copy == "COPY 3"
    assert words(replace(FACE, copy=2, language="de")).copy == "KOPIE 2"


def test_without_a_telephone_number_nobody_is_told_to_call():
    assert len(words(replace(FACE, phone="")).closing) == len(words(FACE).closing) - 1


def test_a_test_slip_says_that_it_is_one_instead_of_a_date():
    assert "test" in words(replace(FACE, valid_until=None)).facts[0][1]


@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        ("en", "Thursday, 28 January 2027, 14:05"),
        ("en-US", "Thursday, January 28, 2027, 2:05 PM"),
        ("de", "Donnerstag, 28. Januar 2027, 14:05"),
        ("uk", "четвер, 28 січня 2027 р., 14:05"),
        ("ar", "الخميس، 28 يناير 2027، 14:05"),
        ("fa", "پنجشنبه ۲۸ ژانویهٔ ۲۰۲۷، ۱۴:۰۵"),
        ("bn", "বৃহস্পতিবার, ২৮ জানুয়ারী, ২০২৭ ১৪:০৫"),
        ("ja", "2027年1月28日木曜日 14:05"),
        ("zh-TW", "2027年1月28日 星期四 14:05"),
        ("xx", "Thursday, 28 January 2027, 14:05"),
    ],
)
def test_the_date_is_written_as_the_language_does(tag, shown):
    assert plain(moment(THEN, tag)) == shown


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_date_can_be_taken_for_the_night_or_loses_its_year(language):
    western = "".join(str(int(char)) if char.isdigit() else char for char in moment(THEN, language))
    assert "2027" in western
    assert "28" in western
    assert "14:05" in western or "2:05\u00a0PM" in western


def test_what_staff_compare_keeps_western_digits():
    facts = words(replace(FACE, language="fa")).facts
    assert "1970" in facts[1][1]
    assert plain(facts[2][1]) == "S-00042"


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("en", "en"), ("EN-gb", "en"), ("zh", "zh_Hans"), ("zh-CN", "zh_Hans"), ("zh_TW", "zh_Hant"),
        ("zh-Hant-HK", "zh_Hant"), ("zh-Hans-HK", "zh_Hans"), ("yue", "zh_Hant"), ("chi", "zh_Hans"), ("ger", "de"),
        ("fra", "fr"), ("tl", "tl"), ("fil-PH", "tl"), ("iw", "he"), ("pt-PT", "pt"), ("per", "fa"),
        ("nl", None), ("", None), ("-", None), ("e", None), ("12", None),
    ],
)  # fmt: skip
def test_a_tag_means_the_nearest_language_that_there_is(tag, language):
    assert known_language(tag) == language


def test_the_first_language_that_there_are_words_for_counts():
    assert first_known("nl", "", "uk", "de") == "uk"
    assert first_known("", "de-AT", "en") == "de-AT"
    assert first_known("nl") == "en"


def test_the_staff_half_names_only_what_is_known():
    labels = [label for label, _ in staff_words(FACE, StaffHalf("en")).facts]
    assert labels == ["Slip", "Patient, born"]
    full = dict(staff_words(FACE, StaffHalf("en", "28 Jan 2027 · CT")).facts)
    assert plain(full["Study"]) == "28 Jan 2027 · CT"


# -- whether all is here ----------------------------------------------------------------------------------------------


def verdict_line(verdict: Verdict | None, language: str = "en") -> str:
    return plain(words(replace(FACE, verdict=verdict, language=language)).verdict)


def test_nothing_is_said_of_images_while_nothing_is_known():
    assert verdict_line(None) == ""


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        (Verdict(Source.QUERY, 530, 530), "530 of 530 images, checked with the PACS"),
        (Verdict(Source.QUERY, 1, 1), "1 of 1 image, checked with the PACS"),
        (Verdict(Source.MEDIA_CREATION, 530, 530), "530 of 530 images, as they were asked for"),
        (Verdict(Source.NOTIFICATION, 530, 530), "530 of 530 images, as the PACS announced them"),
        (Verdict(Source.PERFORMED_STEP, 530, 530), "530 of 530 images, as the modality reported them"),
        (Verdict(Source.QUERY, 528, 530, 2), "528 of 530 images; 2 have not arrived"),
        (Verdict(Source.MEDIA_CREATION, 600, 530, 1), "529 of 530 images; 1 has not arrived"),
        (Verdict(Source.NOTIFICATION, 532, 530), "530 of 530 images, as the PACS announced them"),
        (Verdict(Source.QUIET, 412, quiet_s=30.0), "No more images for 30 s; not checked"),
    ],
)
def test_the_slip_says_how_many_images_are_here_and_by_whose_word(verdict, line):
    assert verdict_line(verdict) == line


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("de", "Bilder: 528 von 530; noch nicht angekommen: 2"),
        ("fa", "تصویرها: ۵۲۸ از ۵۳۰؛ هنوز نرسیده: ۲"),
        ("bn", "ছবি: ৫২৮/৫৩০; এখনও আসেনি: ২"),
        ("ar", "الصور: 528 من 530؛ لم يصل بعد: 2"),
        ("zh-CN", "影像：528/530；尚未收到：2"),
    ],
)
def test_the_verdict_has_the_languages_own_digits(language, line):
    assert verdict_line(Verdict(Source.QUERY, 528, 530, 2), language) == line


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_missing_image_is_said_in_the_languages_own_digits_too(language):
    one = verdict_line(Verdict(Source.QUERY, 2, 3, 1), language)
    assert [int(figure) for figure in re.findall(r"\d+", one)] == [2, 3, 1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_figure_stays_on_one_line_with_its_unit(language):
    line = words(replace(FACE, verdict=Verdict(Source.QUIET, 1, quiet_s=30.0), language=language)).verdict
    assert not re.search(r"\d \w", line)


# -- what a request wants on the slip ---------------------------------------------------------------------------------


def test_what_a_request_says_stands_under_labels_of_ours():
    said = words(replace(FACE, hand_to="Dr Hill", note="CT chest\r\nfor Monday", barcode="ACC1"))
    assert said.remarks == (("Hand to", "Dr Hill"), ("Note", "CT chest; for Monday"))
    assert said.barcode == ("ACC1", "For staff, not for your phone", "ACC1")
    assert words(FACE).remarks == ()
    assert words(FACE).barcode[0] == ""


def test_a_day_is_short():
    assert day(THEN, "en") == "28 Jan 2027"
    assert day(THEN, "fa") == "۲۸ ژانویه ۲۰۲۷"
