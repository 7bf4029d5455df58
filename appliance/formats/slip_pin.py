"""The paper that tells staff the PIN of a slip: separate, so that nobody holds both unless staff say so.

For staff, in the site's language. There is no code on it, and nothing that opens anything without the patient's slip.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image

from appliance.formats import slip_layout as layout
from appliance.formats.languages import ENGLISH, known_language
from appliance.formats.slip_sheet import GRID, Sheet
from appliance.formats.slip_words import END, LEFT_TO_RIGHT, NO_BREAK_SPACE, catalogue, handover, value

TOGETHER = 3  # digits that are said in one breath


@dataclass(frozen=True)
class PinFace:
    language: str
    number: str  # of the patient's slip
    initials: str = field(repr=False)
    birth_year: str = field(repr=False)
    pin: str = field(repr=False)


@dataclass(frozen=True, repr=False)
class PinWords:
    language: str
    heading: str
    facts: tuple[tuple[str, str], ...]
    pin: str
    closing: str


def words(face: PinFace) -> PinWords:
    language = known_language(face.language) or ENGLISH
    say = catalogue(language)
    groups = [face.pin[at : at + TOGETHER] for at in range(0, len(face.pin), TOGETHER)]
    return PinWords(
        language=language,
        heading=say("STAFF: PIN for slip {number}").format(number=value(face.number, language)),
        facts=((say("Patient, born"), handover(face.initials, face.birth_year, language)),),
        pin=f"{LEFT_TO_RIGHT}{NO_BREAK_SPACE.join(groups)}{END}",
        closing=say("Tell only the patient, then throw this away."),
    )


def render(face: PinFace, dots: int) -> Image.Image:
    """As `slip_bitmap.render` draws a patient's slip. Raises PaperTooNarrowError or FontMissingError."""
    return drawn(face, dots)[0]


def drawn(face: PinFace, dots: int) -> tuple[Image.Image, list[str]]:
    """The same, and the characters that no font has."""
    said = words(face)
    sheet = Sheet(dots, said.language)
    page = sheet.stack(
        [
            layout.heading(sheet, said.heading),
            layout.rule(sheet),
            layout.facts(sheet, said.facts),
            layout.poster(sheet, said.pin),
            layout.rule(sheet),
            layout.paragraph(sheet, said.closing, bold=True, centred=True),
        ],
        edge=2 * GRID,
    )
    return page, sheet.unprintable
