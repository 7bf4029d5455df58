"""The link as a code of whole printer dots."""

from __future__ import annotations

import qrcode
from PIL import Image
from qrcode.util import MODE_8BIT_BYTE, QRData

from appliance.errors import FormatError, SlipwayError

QUIET_MODULES = 4  # ISO/IEC 18004 asks for 4; with fewer, phones miss codes on a busy desk
LEAST_MODULE_DOTS = 4  # 0.5 mm at 203 dpi; below that, thermal spread closes the gaps
WHITE, BLACK = 1, 0


class PaperTooNarrowError(SlipwayError):
    """The link's code would need modules under 0.5 mm."""

    code = "paper_too_narrow"
    hint = "Use 80 mm paper ([printer] paper_mm = 80), or a shorter public_url at the vault."


def module_dots(modules: int, dots: int) -> int:
    """Dots per module for a code of `modules` modules a side on paper `dots` wide, quiet zone counted."""
    size = dots // (modules + 2 * QUIET_MODULES)
    if size < LEAST_MODULE_DOTS:
        raise PaperTooNarrowError(
            f"the link's code has {modules} modules a side; at {dots} dots they would be {size} dots, under 0.5 mm"
        )
    return size


def symbol(url: str, dots: int) -> tuple[Image.Image, int]:
    """The largest code that fits `dots` with its quiet zone, without it, and the quiet zone's width in dots.

    Raises PaperTooNarrowError, or FormatError when the link is not ASCII or too long for a code.
    """
    matrix = _matrix(url)
    scale = module_dots(len(matrix), dots)
    return _drawn(matrix, scale), QUIET_MODULES * scale


def scaled(text: str, dots_a_module: int) -> Image.Image:
    """A code of any fineness, without its quiet zone: for trying a printer, not for slips. ASCII."""
    return _drawn(_matrix(text), dots_a_module)


def _drawn(matrix: list[list[bool]], scale: int) -> Image.Image:
    picture = Image.new("1", (len(matrix), len(matrix)), WHITE)
    picture.putdata([BLACK if dark else WHITE for row in matrix for dark in row])
    side = len(matrix) * scale
    return picture.resize((side, side), Image.Resampling.NEAREST)


def _matrix(url: str) -> list[list[bool]]:
    """One byte-mode segment, as every scanner reads it; mixed modes would save little and confuse some."""
    if not url.isascii():
        raise FormatError(
            "the link holds a character that is not ASCII", hint="Check public_url in the vault's settings."
        )
    code = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_M, border=0)
    code.add_data(QRData(url.encode("ascii"), mode=MODE_8BIT_BYTE))
    try:
        code.make(fit=True)
    except (ValueError, qrcode.exceptions.DataOverflowError) as error:
        raise FormatError("the link is too long for one code", hint="Use a shorter public_url at the vault.") from error
    return [[bool(cell) for cell in row] for row in code.get_matrix()]
