"""The short paper that says why a scanned accession number led to no slip: whoever scans sees no screen.

For staff, in the site's language. What the PACS's administrator needs of it is below, in English as in the log. Of the
number, which is a patient's, nobody gets more than how it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from PIL import Image

from appliance.formats import slip_layout as layout
from appliance.formats.languages import ENGLISH, known_language
from appliance.formats.slip_sheet import GRID, Sheet
from appliance.formats.slip_text import clean
from appliance.formats.slip_words import END, LEFT_TO_RIGHT, NO_BREAK_SPACE, catalogue, value

PULL, REPRINT, HELD_LIST = "slipway pull --study UID", "slipway slips reprint", "slipway shares list --held"
MOST_LINES = 15  # of the English sentences; they are never cut


class Became(StrEnum):
    """What became of the number."""

    NOTHING_FOUND = "nothing found"
    NO_NUMBER = "no number"
    SEVERAL_PATIENTS = "several patients"
    NOT_ANSWERED = "not answered"
    REFUSED = "refused"
    NOT_SENT = "not sent"
    NOT_SENT_YET = "not sent yet"
    SLIP_IS_OUT = "slip is out"
    HELD = "held"
    ON_ITS_WAY = "on its way"


@dataclass(frozen=True)
class ScannedFace:
    became: Became
    ending: str = field(default="", repr=False)  # of the number
    slips: tuple[str, ...] = ()  # their numbers
    detail: tuple[str, ...] = ()  # English sentences, for the PACS's administrator
    site: str = ""
    language: str = ENGLISH


@dataclass(frozen=True, repr=False)
class ScannedWords:
    language: str
    site: str
    heading: str
    what: str
    do: str
    ending: str
    detail_heading: str
    detail: tuple[str, ...]


def words(face: ScannedFace) -> ScannedWords:
    language = known_language(face.language) or ENGLISH
    say = catalogue(language)
    again = face.became in (Became.SLIP_IS_OUT, Became.HELD, Became.ON_ITS_WAY)
    what, do = _sentences(face, say)
    ending = _left_to_right(f"…{clean(face.ending)}") if clean(face.ending) else ""
    return ScannedWords(
        language=language,
        site=value(face.site, language),
        heading=say("Scanned already") if again else say("What was scanned was not fetched"),
        what=what,
        do=do,
        ending=say("The number ends in {ending}.").format(ending=ending) if ending else "",
        detail_heading=say("For the PACS administrator:") if face.detail else "",
        detail=tuple(filter(None, map(clean, face.detail))),
    )


def _sentences(face: ScannedFace, say: Callable[[str], str]) -> tuple[str, str]:
    """What it is, and what to do; "" where there is nothing to do."""
    slips = _left_to_right(", ".join(map(clean, face.slips)))
    return {
        Became.NOTHING_FOUND: (
            say("The PACS has no study with this accession number."),
            say("Check the number, and that the study has reached the PACS."),
        ),
        Became.NO_NUMBER: (
            say("What was scanned is no accession number."),
            say("Scan the accession number on the request form."),
        ),
        Became.SEVERAL_PATIENTS: (
            say("Several patients have this number: nothing was fetched."),
            say("Ask for the right study at the box: {command}").format(command=_typed(PULL)),
        ),
        Became.NOT_ANSWERED: (say("The PACS does not answer right now."), say("Scan again in a few minutes.")),
        Became.REFUSED: (
            say("The PACS refuses what the box asks for."),
            say("Give this paper to the PACS administrator."),
        ),
        Became.NOT_SENT: (
            say("The PACS has the study, but does not send it."),
            say("Give this paper to the PACS administrator."),
        ),
        Became.NOT_SENT_YET: (say("The PACS has not sent the images yet. The box goes on trying."), ""),
        Became.SLIP_IS_OUT: (
            say("Its slip is {slips}.").format(slips=slips),
            say("For another one: {command}").format(command=_typed(REPRINT)),
        ),
        Became.HELD: (say("Somebody must decide about its images first."), _typed(HELD_LIST)),
        Became.ON_ITS_WAY: (say("Its images are on their way; the slip follows."), ""),
    }[face.became]


def _typed(command: str) -> str:
    """On one line: nobody types half a command."""
    return _left_to_right(command.replace(" ", NO_BREAK_SPACE))


def _left_to_right(text: str) -> str:
    return f"{LEFT_TO_RIGHT}{text}{END}"


def render(face: ScannedFace, dots: int) -> Image.Image:
    """As `slip_bitmap.render` draws a patient's slip. Raises PaperTooNarrowError or FontMissingError."""
    return drawn(face, dots)[0]


def drawn(face: ScannedFace, dots: int) -> tuple[Image.Image, list[str]]:
    """The same, and the characters that no font has."""
    said = words(face)
    sheet, english = Sheet(dots, said.language), Sheet(dots)  # what is English is set from left to right
    page = sheet.stack(
        [
            layout.heading(sheet, said.site),
            layout.paragraph(sheet, said.heading, bold=True, centred=True),
            layout.rule(sheet),
            layout.notices(sheet, [said.what]),
            *_paragraphs(sheet, (said.do, said.ending)),
            *_detail(sheet, english, said),
        ],
        edge=2 * GRID,
    )
    return page, sheet.unprintable + english.unprintable


def _detail(sheet: Sheet, english: Sheet, said: ScannedWords) -> list[Image.Image]:
    if not said.detail:
        return []
    heading = layout.paragraph(sheet, said.detail_heading, bold=True)
    return [layout.rule(sheet), sheet.stack([heading, *_paragraphs(english, said.detail)], gap=GRID)]


def _paragraphs(sheet: Sheet, texts: Sequence[str]) -> list[Image.Image]:
    return [layout.paragraph(sheet, text, max_lines=MOST_LINES) for text in texts if text]
