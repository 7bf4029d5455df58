"""A slip as a picture of single dots. Text reaches the printer only as a picture, so no name can become a command.

Not the printer's bytes; those are `escpos`. Sizes are in printer dots: 8 a millimetre at 203 dpi.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import qrcode
from PIL import Image, ImageDraw, ImageFont
from qrcode.util import MODE_8BIT_BYTE, QRData

from appliance.errors import FormatError, SlipwayError
from appliance.formats.slip_text import SlipFace, Words, words, wrap

GRID = 8  # dots; everything starts and ends on it, so strips and lines meet whole bytes
QUIET_MODULES = 4  # ISO/IEC 18004 asks for 4; with fewer, phones miss codes on a busy desk
LEAST_MODULE_DOTS = 4  # 0.5 mm at 203 dpi; below that, thermal spread closes the gaps
NARROWEST_DOTS = 320
WHITE, BLACK = 1, 0
DOTS_PER_INCH = 203  # only told to viewers of the PNG
FONTS = Path("/usr/share/fonts/truetype/dejavu")


class FontMissingError(SlipwayError):
    code = "font_missing"
    hint = "Install the Debian package fonts-dejavu-core."


class PaperTooNarrowError(SlipwayError):
    """The link's code would need modules under 0.5 mm."""

    code = "paper_too_narrow"
    hint = "Use 80 mm paper ([printer] paper_mm = 80), or a shorter public_url at the vault."


@dataclass(frozen=True)
class _Sizes:
    """Of type and space, dots."""

    margin: int
    title: int
    body: int
    label: int
    value: int
    marker: int  # diameter of a step's numbered disc
    gap: int  # between the slip's parts


NARROW = _Sizes(margin=16, title=32, body=23, label=18, value=23, marker=32, gap=2 * GRID)
MIDDLE = _Sizes(margin=32, title=40, body=27, label=20, value=28, marker=36, gap=2 * GRID)
WIDE = _Sizes(margin=40, title=44, body=30, label=22, value=33, marker=40, gap=3 * GRID)


def render(face: SlipFace, dots: int) -> Image.Image:
    """Draw the slip `dots` wide (a multiple of 8), as tall as it needs to be; mode "1", black is 0.

    Raises PaperTooNarrowError, FontMissingError, or FormatError when the link is not ASCII or too long for a code.
    """
    if dots < NARROWEST_DOTS or dots % GRID:
        raise PaperTooNarrowError(f"a slip cannot be {dots} dots wide; it takes a multiple of 8 from {NARROWEST_DOTS}")
    sizes = NARROW if dots < 480 else MIDDLE if dots < 560 else WIDE
    said, room = words(face), dots - 2 * sizes.margin
    return _stack(
        dots,
        [
            _copy_mark(said.copy, dots, sizes),
            _title(said.site, dots, sizes),
            _code(face.url, dots),
            _steps(said.steps, dots, sizes),
            _rule(dots, sizes),
            _facts(said, dots, sizes),
            _centred(wrap(said.help, room, _font(sizes.body).getlength, 2), _font(sizes.body), dots),
        ],
        gap=sizes.gap,
    )


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG file: what a `file://` printer shows, and what a person can look at."""
    out = io.BytesIO()
    picture.save(out, "PNG", dpi=(DOTS_PER_INCH, DOTS_PER_INCH))
    return out.getvalue()


def module_dots(modules: int, dots: int) -> int:
    """Dots per module for a code of `modules` modules a side on paper `dots` wide, quiet zone counted."""
    size = dots // (modules + 2 * QUIET_MODULES)
    if size < LEAST_MODULE_DOTS:
        raise PaperTooNarrowError(
            f"the link's code has {modules} modules a side; at {dots} dots they would be {size} dots, under 0.5 mm"
        )
    return size


def _code(url: str, dots: int) -> Image.Image:
    matrix = _matrix(url)
    scale = module_dots(len(matrix), dots)
    symbol = Image.new("1", (len(matrix), len(matrix)), WHITE)
    symbol.putdata([BLACK if dark else WHITE for row in matrix for dark in row])
    side = len(matrix) * scale
    quiet = QUIET_MODULES * scale
    block = _blank(dots, side + 2 * quiet)
    block.paste(symbol.resize((side, side), Image.Resampling.NEAREST), ((dots - side) // 2, quiet))
    return block


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


def _copy_mark(text: str, dots: int, sizes: _Sizes) -> Image.Image:
    """White on black, first of all: nobody should take a copy for the patient's only slip."""
    if not text:
        return _blank(dots, 0)
    font = _font(sizes.body, bold=True)
    width, height = int(font.getlength(text)) + 6 * GRID, _up(sizes.body + 2 * GRID)
    block = _blank(dots, height)
    left = (dots - width) // 2 // GRID * GRID
    draw = _pen(block)
    draw.rounded_rectangle((left, 0, left + width, height - 1), radius=GRID, fill=BLACK)
    draw.text((left + width / 2, height / 2), text, font=font, fill=WHITE, anchor="mm")
    return block


def _title(text: str, dots: int, sizes: _Sizes) -> Image.Image:
    """The site's name as large as lets it stand unbroken on two lines; a longer one is smaller, and cut after three."""
    room = dots - 2 * sizes.margin
    large, small = _font(sizes.title, bold=True), _font(sizes.body, bold=True)
    lines = wrap(text, room, large.getlength, max_lines=2)
    if " ".join(lines) == text:
        return _centred(lines, large, dots)
    return _centred(wrap(text, room, small.getlength, max_lines=3), small, dots)


def _centred(lines: Sequence[str], font: ImageFont.FreeTypeFont, dots: int) -> Image.Image:
    leading = _up(font.size * 1.15)
    block = _blank(dots, leading * len(lines))
    draw = _pen(block)
    for row, line in enumerate(lines):
        draw.text((dots / 2, row * leading + leading / 2), line, font=font, fill=BLACK, anchor="mm")
    return block


def _steps(steps: Sequence[str], dots: int, sizes: _Sizes) -> Image.Image:
    return _stack(dots, [_step(number, text, dots, sizes) for number, text in enumerate(steps, 1)], edge=0)


def _step(number: int, text: str, dots: int, sizes: _Sizes) -> Image.Image:
    """A numbered disc, and the text beside it with its first line at the disc's middle."""
    font = _font(sizes.body)
    left = sizes.margin + sizes.marker + 2 * GRID
    lines = wrap(text, dots - left - sizes.margin, font.getlength, max_lines=3)
    leading = _up(sizes.body * 1.2)
    block = _blank(dots, max(sizes.marker, leading * len(lines)))
    draw = _pen(block)
    disc = (sizes.margin, 0, sizes.margin + sizes.marker - 1, sizes.marker - 1)
    draw.ellipse(disc, fill=BLACK)
    middle = sizes.marker / 2
    digit = _font(sizes.label, bold=True)
    draw.text((sizes.margin + middle, middle), str(number), font=digit, fill=WHITE, anchor="mm")
    for row, line in enumerate(lines):
        draw.text((left, middle + row * leading), line, font=font, fill=BLACK, anchor="lm")
    return block


def _rule(dots: int, sizes: _Sizes) -> Image.Image:
    block = _blank(dots, GRID)
    _pen(block).rectangle((sizes.margin, 3, dots - sizes.margin - 1, 4), fill=BLACK)
    return block


def _facts(said: Words, dots: int, sizes: _Sizes) -> Image.Image:
    """The date on a line of its own, then who it is for and the slip's number side by side."""
    until, patient, number = said.facts
    room = dots - 2 * sizes.margin
    half = room // 2 // GRID * GRID
    pair = _beside(dots, _fact(*patient, half, sizes), _fact(*number, room - half, sizes), sizes.margin, half)
    return _stack(dots, [_beside(dots, _fact(*until, room, sizes), None, sizes.margin, 0), pair], edge=0)


def _fact(label: str, value: str, width: int, sizes: _Sizes) -> Image.Image:
    small, large = _font(sizes.label), _font(sizes.value, bold=True)
    lines = wrap(value, width - GRID, large.getlength, max_lines=2)
    top, leading = _up(sizes.label * 1.3), _up(sizes.value * 1.2)
    block = _blank(width, top + leading * len(lines))
    draw = _pen(block)
    draw.text((0, top / 2), label, font=small, fill=BLACK, anchor="lm")
    for row, line in enumerate(lines):
        draw.text((0, top + row * leading + leading / 2), line, font=large, fill=BLACK, anchor="lm")
    return block


def _beside(dots: int, left: Image.Image, right: Image.Image | None, margin: int, offset: int) -> Image.Image:
    block = _blank(dots, max(left.height, right.height if right else 0))
    block.paste(left, (margin, 0))
    if right:
        block.paste(right, (margin + offset, 0))
    return block


def _stack(dots: int, blocks: Sequence[Image.Image], gap: int = 2 * GRID, edge: int = 2 * GRID) -> Image.Image:
    """One under another, `gap` dots apart, with `edge` dots above and below; blocks without height leave no gap."""
    shown = [block for block in blocks if block.height]
    height = sum(block.height + gap for block in shown) - gap + 2 * edge
    page = _blank(dots, height)
    top = edge
    for block in shown:
        page.paste(block, (0, top))
        top += block.height + gap
    return page


def _blank(width: int, height: float) -> Image.Image:
    return Image.new("1", (width, _up(height)), WHITE)


def _pen(block: Image.Image) -> ImageDraw.ImageDraw:
    draw = ImageDraw.Draw(block)
    draw.fontmode = "1"  # no grey edges: a dot is burnt or it is not
    return draw


def _up(length: float) -> int:
    """To the next multiple of the grid."""
    return int(-(-length // GRID) * GRID)


@lru_cache(maxsize=32)
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    path = FONTS / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    try:
        # Its bytes, not its path: by path Pillow would quietly look for the same name elsewhere.
        return ImageFont.truetype(io.BytesIO(path.read_bytes()), size)
    except OSError as error:
        raise FontMissingError(f"the slip's font is missing: {path}") from error
