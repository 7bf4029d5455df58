"""What a slip needs that an imager reads before it is cut: room to reach the imager, and the mark that spoils it."""

from __future__ import annotations

from PIL import Image

from appliance.formats import slip_layout as layout
from appliance.formats.slip_sheet import GRID, Sheet, up

VOID = "VOID  VOID"
WHY = "Its code does not scan. Throw it away: another one follows."


def fed(picture: Image.Image, dots: int) -> Image.Image:
    """The slip with so much white behind it, which moves it on."""
    return Sheet(picture.width).stack([picture, Sheet(picture.width).blank(up(dots))], gap=0) if dots else picture


def void_mark(dots: int) -> Image.Image:
    sheet = Sheet(dots, large=True)
    mark, why = layout.mark(sheet, VOID), layout.paragraph(sheet, WHY, bold=True, centred=True)
    return sheet.stack([mark, why, mark], gap=GRID, edge=GRID)
