"""A slip as a picture of single dots. Text reaches the printer only as a picture, so no name can become a command.

Not the printer's bytes; those are `escpos`. What the picture is made of is in `slip_layout`.
"""

from __future__ import annotations

import io

from PIL import Image

from appliance.formats import slip_layout as layout
from appliance.formats.slip_pictograms import pictogram
from appliance.formats.slip_sheet import GRID, Sheet
from appliance.formats.slip_text import SlipFace, StaffHalf
from appliance.formats.slip_words import Words, staff_words, words

DOTS_PER_INCH = 203  # only told to viewers of the PNG


def render(face: SlipFace, dots: int) -> Image.Image:
    """Draw the slip `dots` wide (a multiple of 8), as tall as it needs to be; mode "1", black is 0.

    Raises PaperTooNarrowError, FontMissingError, LogoError, or FormatError when the link is not ASCII or too long.
    """
    return drawn(face, dots)[0]


def drawn(face: SlipFace, dots: int) -> tuple[Image.Image, list[str]]:
    """The same, and the characters that no font has, which the picture shows as question marks."""
    said = words(face)
    sheet = Sheet(dots, said.language, face.large_print)
    halves = [_patients_half(sheet, face, said)]
    if face.staff:
        staff_sheet = Sheet(dots, staff_words(face, face.staff).language)
        halves += [layout.cut_line(sheet), _staff_half(staff_sheet, face, face.staff)]
        sheet.unprintable += staff_sheet.unprintable
    return sheet.stack(halves, edge=2 * GRID), sheet.unprintable


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG file: what a `file://` printer shows, and what a person can look at."""
    out = io.BytesIO()
    picture.save(out, "PNG", dpi=(DOTS_PER_INCH, DOTS_PER_INCH))
    return out.getvalue()


def _patients_half(sheet: Sheet, face: SlipFace, said: Words) -> Image.Image:
    # Large letters need the room, and who needs those cannot see small pictures.
    icons = [] if face.large_print else [pictogram(name, sheet.sizes.icon) for name in ("point", "tap", face.factor)]
    title = sheet.stack([layout.heading(sheet, said.site), layout.paragraph(sheet, said.heading, centred=True)], gap=0)
    closing = sheet.stack([layout.paragraph(sheet, line, centred=True) for line in said.closing], gap=GRID // 2)
    # The code brings its own white: next to it no other space is needed.
    top = sheet.stack(
        [layout.mark(sheet, said.copy), layout.logo(sheet, face.logo), title],
    )
    code, verdict = layout.code(sheet, face.url), layout.paragraph(sheet, said.verdict)
    return sheet.stack(
        [
            sheet.stack([top, code, layout.steps(sheet, said.steps, icons)], gap=0),
            layout.rule(sheet),
            sheet.stack([layout.facts(sheet, said.facts), verdict, layout.facts(sheet, said.remarks)], gap=GRID),
            layout.rule(sheet),
            closing,
            layout.barcode(sheet, *said.barcode),
        ]
    )


def _staff_half(sheet: Sheet, face: SlipFace, staff: StaffHalf) -> Image.Image:
    said = staff_words(face, staff)
    return sheet.stack(
        [
            layout.paragraph(sheet, said.heading, bold=True, centred=True),
            layout.facts(sheet, said.facts),
            layout.boxes(sheet, said.boxes),
        ]
    )
