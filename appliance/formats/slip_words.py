"""The words on a slip in the reader's language: gettext catalogues in `appliance/locale/`, dates as CLDR writes them.

English is the catalogues' key. What people compare or type (slip number, year of birth, PIN, telephone) keeps Western
digits in every language; dates and the steps' numbers have the language's own.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from importlib.resources import files

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, get_datetime_format
from babel.messages.pofile import read_po

from appliance.core.completeness import Source, Verdict
from appliance.formats.languages import ENGLISH, LANGUAGES, RIGHT_TO_LEFT, known_language
from appliance.formats.slip_text import SlipFace, StaffHalf, clean, clean_remark

_TWELVE_HOURS = frozenset(("en_US", "en_CA", "fil"))  # elsewhere 14:05 is understood by all, and cannot be the night
_FIRST_DIGIT = {"arab": 0x0660, "arabext": 0x06F0, "beng": 0x09E6, "deva": 0x0966}
_DAY_OF_MONTH = re.compile(r"(?<=\b\d) |(?<=\b\d\d) |(?<=\d\.) |(?<![,،]) (?=\d{1,2}\b(?!:))")  # stays with its month
LEFT_TO_RIGHT, BY_ITSELF, END = "\u2066", "\u2068", "\u2069"  # isolates: a value does not turn its neighbours round
NO_BREAK_SPACE = "\u00a0"  # a telephone number stays on one line, as does a figure with its unit


@dataclass(frozen=True)
class Words:
    """A face as the texts to draw, in `language`. `facts` are label and value."""

    language: str
    site: str
    copy: str
    heading: str
    steps: tuple[tuple[str, str], ...]  # number and text
    facts: tuple[tuple[str, str], ...]
    verdict: str
    remarks: tuple[tuple[str, str], ...]  # as `facts`
    closing: tuple[str, ...]
    barcode: tuple[str, str, str]  # its value ("": there is none), what stands above it, and below


@dataclass(frozen=True)
class StaffWords:
    language: str
    heading: str
    facts: tuple[tuple[str, str], ...]
    boxes: tuple[str, ...]


def words(face: SlipFace) -> Words:
    language = known_language(face.language) or ENGLISH
    say, digits = catalogue(language), _digits(language)
    last = {
        "birth-date": say("Enter your date of birth."),
        "pin": say("Enter the PIN you were given."),
        "none": say("See your images."),
    }
    steps = (say("Point your phone’s camera at the code."), say("Tap the link that appears."), last[face.factor])
    barcode = clean_remark(face.barcode)
    phone = clean(face.phone).replace(" ", NO_BREAK_SPACE)
    questions = say("Questions? {phone}").format(phone=f"{LEFT_TO_RIGHT}{phone}{END}") if phone else ""
    return Words(
        language=language,
        site=value(face.site, language),
        copy=say("COPY {number}").format(number=digits(str(face.copy))) if face.copy > 1 else "",
        heading=say("Your images"),
        steps=tuple((digits(str(number)), step) for number, step in enumerate(steps, 1)),
        facts=(
            (say("Valid until"), moment(face.valid_until, face.language))
            if face.valid_until
            else ("", say("This is a test. The code opens nothing.")),
            (say("Patient, born"), handover(face.initials, face.birth_year, language)),
            (say("Slip"), value(face.number, language)),
        ),
        verdict=_verdict(face.verdict, language),
        remarks=_remarks(face, language),
        closing=(say("Keep this slip."), say("Your doctor can use it too."), *([questions] if questions else [])),
        barcode=(barcode, say("For staff, not for your phone"), value(barcode, language)),
    )


def _remarks(face: SlipFace, language: str) -> tuple[tuple[str, str], ...]:
    """Under labels of ours, so that no stranger's text passes for the slip's own."""
    say = catalogue(language)
    said = ((say("Hand to"), clean_remark(face.hand_to)), (say("Note"), clean_remark(face.note)))
    return tuple((label, value(text, language)) for label, text in said if text)


def _verdict(verdict: Verdict | None, language: str) -> str:
    if verdict is None:
        return ""
    say, digits = catalogue(language), _digits(language)
    if verdict.source is Source.QUIET:
        text = say("No more images for {seconds} s; not checked").replace("{seconds} ", "{seconds}" + NO_BREAK_SPACE)
        return text.format(seconds=digits(f"{verdict.quiet_s:g}"))
    if verdict.missing > 1:
        text = say("{here} of {expected} images; {missing} have not arrived")
    elif verdict.missing:
        text = say("{here} of {expected} images; 1 has not arrived")
    else:
        text = {
            Source.MEDIA_CREATION: say("{here} of {expected} images, as they were asked for"),
            Source.NOTIFICATION: say("{here} of {expected} images, as the PACS announced them"),
            Source.PERFORMED_STEP: say("{here} of {expected} images, as the modality reported them"),
            Source.QUERY: say("{here} of {expected} images, checked with the PACS"),
        }[verdict.source]
    here = verdict.expected - verdict.missing
    figures = {"here": here, "expected": verdict.expected, "missing": verdict.missing}
    if language == ENGLISH and figures["expected"] == 1:  # the other languages' wordings avoid the plural
        text = text.replace("images", "image")
    return text.format(**{name: digits(str(figure)) for name, figure in figures.items()})


def staff_words(face: SlipFace, staff: StaffHalf) -> StaffWords:
    language = known_language(staff.language) or ENGLISH
    say = catalogue(language)
    facts = (
        (say("Slip"), value(face.number, language)),
        (say("Patient, born"), handover(face.initials, face.birth_year, language)),
        (say("Study"), value(staff.study, language)),
    )
    return StaffWords(
        language=language,
        heading=say("STAFF: keep this part"),
        facts=tuple((label, value) for label, value in facts if value),
        boxes=(say("Initials and birth year checked"), say("Handed to the right patient")),
    )


def handover(initials: str, birth_year: str, language: str) -> str:
    """What staff compare before they hand the slip over: enough to tell two patients apart, too little to name one."""
    return " · ".join(part for part in (value(initials, language), value(birth_year, language)) if part) or "–"


def value(text: str, language: str) -> str:
    """As it runs by itself, whatever the direction of the words around it."""
    cleaned = clean(text)
    plain = cleaned.isascii() and language not in RIGHT_TO_LEFT
    return cleaned if plain or not cleaned else f"{BY_ITSELF}{cleaned}{END}"


def moment(at: datetime, tag: str) -> str:
    """Weekday, day, month in words, year and minute: "Thursday, 28 January 2027, 14:05"."""
    locale = _locale(tag)
    pattern = "h:mm a" if str(locale) in _TWELVE_HOURS else "HH:mm"
    day, minute = format_date(at, "full", locale), format_time(at, pattern, locale=locale)
    pattern = str(get_datetime_format("medium", locale)).replace("'", "")
    if str(locale) == "ur":
        pattern = "{1}، {0}"  # a space alone would let the year and the hour stand like one number, turned round
    joined = _DAY_OF_MONTH.sub(NO_BREAK_SPACE, pattern.replace("{1}", day).replace("{0}", minute))
    return _digits(known_language(tag) or ENGLISH)(joined)


def day(at: datetime, tag: str) -> str:
    """The day alone, in figures where the language does so."""
    return _digits(known_language(tag) or ENGLISH)(format_date(at, "medium", _locale(tag)))


@lru_cache(maxsize=64)
def _locale(tag: str) -> Locale:
    language = known_language(tag) or ENGLISH
    country = tag.strip().replace("-", "_").rpartition("_")[2].upper()
    if len(country) == 2 and "_" not in language:
        try:
            return Locale.parse(f"{LANGUAGES[language].partition('_')[0]}_{country}")
        except (UnknownLocaleError, ValueError):
            pass
    return Locale.parse(LANGUAGES[language])


def _digits(language: str) -> Callable[[str], str]:
    """Western digits turned into those that CLDR names as the language's usual ones."""
    first = _FIRST_DIGIT.get(Locale.parse(LANGUAGES[language]).default_numbering_system)
    return (lambda text: text.translate({ord("0") + n: first + n for n in range(10)})) if first else str


def catalogue(language: str) -> Callable[[str], str]:
    """From English to one of `LANGUAGES`."""
    texts = _texts(language)
    return lambda text: texts.get(text, text)


@cache
def _texts(language: str) -> dict[str, str]:
    if language == ENGLISH:
        return {}
    path = files("appliance").joinpath("locale", language, "LC_MESSAGES", "slipway.po")
    read = read_po(io.BytesIO(path.read_bytes()), locale=LANGUAGES[language])
    return {str(message.id): str(message.string) for message in read if message.id and message.string}
