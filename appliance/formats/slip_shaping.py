"""One line of text in any script as dots: put into visual order (UAX #9), joined and stacked as its script wants.

FriBidi orders, HarfBuzz shapes (both inside or under Pillow), `slip_fonts` says which font has which character. Where
lines end is `slip_lines`.
"""

from __future__ import annotations

import ctypes
import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from appliance.formats import slip_fonts
from appliance.formats.languages import RIGHT_TO_LEFT
from appliance.formats.slip_fonts import Family, FontMissingError

WHITE, BLACK = 1, 0
NO_GLYPH = "?"  # in place of a character that no font has; an empty box would say less
DIRECTIONS = "\u2066\u2067\u2068\u2069\u200e\u200f\u061c"  # isolates and marks: they steer the order, unseen
JOINERS = "\u200c\u200d"
SPACES = " \u00a0"
OVERHANG_DOTS = 2  # of a first or last letter beyond its own width
THIN_BELOW_DOTS = 28  # size of type at which fine strokes are one dot, which a cold head or old paper loses
SWELL_DOTS = 0.3  # around those: two dots then
_LTR, _RTL = 0x110, 0x111  # FriBidiParType


@dataclass(frozen=True)
class Type:
    """How a piece of text is set: `size` in dots, before the script's own scale."""

    language: str
    size: int
    bold: bool = False

    @property
    def right_to_left(self) -> bool:
        return self.language in RIGHT_TO_LEFT

    def width(self, text: str) -> float:
        return sum(run.width for run in self._runs(text))

    def unprintable(self, text: str) -> list[str]:
        """Characters of `text` that no font has."""
        return [char for char in text if not _invisible(char) and not slip_fonts.family_for(char, self.language)]

    def line(self, text: str) -> Image.Image:
        """The text as black dots, with room for all its ink; at least as tall as the language's ordinary line."""
        runs = list(self._runs(text))
        top, bottom = self._extent(runs)
        picture = Image.new("1", (round(sum(run.width for run in runs)) + 2 * OVERHANG_DOTS, top + bottom), WHITE)
        pen = ImageDraw.Draw(picture)
        pen.fontmode = "1"  # no grey edges: a dot is burnt or it is not
        left = float(OVERHANG_DOTS)
        for run in runs:
            run.draw(pen, round(left), top)
            left += run.width
        return picture

    def _extent(self, runs: Sequence[_Run]) -> tuple[int, int]:
        """Dots above and below the base line."""
        primary = slip_fonts.primary(self.language)
        size = self.size * primary.scale
        inks = [run.ink() for run in runs]
        top = max([round(size * 0.95), *(-ink[1] for ink in inks)])
        return int(top), int(max([round(size * 0.33), *(ink[3] for ink in inks)]))

    def _runs(self, text: str) -> Iterator[_Run]:
        """Left to right as they are seen."""
        levels = bidi_levels(text, right_to_left=self.right_to_left)
        families = self._families(text)
        keyed = [(level, family, char) for level, family, char in zip(levels, families, text, strict=True)]
        runs = []
        for (level, family), group in itertools.groupby(keyed, key=lambda item: item[:2]):
            letters = "".join(self._printable(char) for _, _, char in group)
            if letters:
                runs.append((level, _Run(letters, family, self, right_to_left=level % 2 == 1)))
        return iter([run for _, run in _visual(runs)])

    def _families(self, text: str) -> list[Family]:
        """A font for each character; what can be drawn with its neighbour's is, so that words stay whole."""
        families: list[Family] = []
        for char in text:
            before = families[-1] if families else slip_fonts.primary(self.language)
            families.append(self._family(char, before))
        return families

    def _family(self, char: str, before: Family) -> Family:
        if _invisible(char) or char in SPACES:
            return before
        if unicodedata.category(char).startswith("M") and slip_fonts.has(before, char):
            return before
        return slip_fonts.family_for(char, self.language) or slip_fonts.primary(self.language)

    def _printable(self, char: str) -> str:
        if char in DIRECTIONS:
            return ""
        if char in SPACES:
            return " "
        return char if char in JOINERS or slip_fonts.family_for(char, self.language) else NO_GLYPH


@dataclass(frozen=True)
class _Run:
    """Letters of one font and one direction."""

    letters: str
    family: Family
    type: Type
    right_to_left: bool

    @property
    def _font(self) -> ImageFont.FreeTypeFont:
        return slip_fonts.font(self.family, self.type.size, bold=self.type.bold)

    @property
    def _direction(self) -> str:
        return "rtl" if self.right_to_left else "ltr"

    @property
    def _tag(self) -> str:
        return self.type.language.replace("_", "-")

    @property
    def _swell(self) -> float:
        thin = self.family.thin_strokes and not self.type.bold and self.type.size < THIN_BELOW_DOTS
        return SWELL_DOTS if thin else 0.0

    @property
    def width(self) -> float:
        return self._font.getlength(self.letters, direction=self._direction, language=self._tag)

    def ink(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom, counted from the start of the base line."""
        return self._font.getbbox(
            self.letters, "1", self._direction, language=self._tag, stroke_width=self._swell, anchor="ls"
        )

    def draw(self, pen: ImageDraw.ImageDraw, left: int, base: int) -> None:
        pen.text(
            (left, base),
            self.letters,
            BLACK,
            self._font,
            "ls",
            direction=self._direction,
            language=self._tag,
            stroke_width=self._swell,
        )


def _visual(runs: list[tuple[int, _Run]]) -> list[tuple[int, _Run]]:
    """UAX #9, rule L2: from the highest level down, whatever is at that level or above is turned round."""
    ordered = list(runs)
    for level in range(max((level for level, _ in runs), default=0), 0, -1):
        start = 0
        for turned, group in itertools.groupby(list(ordered), key=lambda item: item[0] >= level):
            length = len(list(group))
            if turned:
                ordered[start : start + length] = ordered[start : start + length][::-1]
            start += length
    return ordered


def bidi_levels(text: str, *, right_to_left: bool) -> list[int]:
    """The embedding level of each character: odd ones run from right to left."""
    if text.isascii() and not right_to_left:
        return [0] * len(text)
    length = len(text)
    library = _fribidi()
    codes = (ctypes.c_uint32 * length)(*map(ord, text))
    types, brackets = (ctypes.c_uint32 * length)(), (ctypes.c_uint32 * length)()
    library.fribidi_get_bidi_types(codes, length, types)
    library.fribidi_get_bracket_types(codes, length, types, brackets)
    base = ctypes.c_uint32(_RTL if right_to_left else _LTR)
    levels = (ctypes.c_int8 * length)()
    library.fribidi_get_par_embedding_levels_ex(types, brackets, length, ctypes.byref(base), levels)
    return list(levels)


@cache
def _fribidi() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("libfribidi.so.0")
    except OSError as error:
        raise FontMissingError(
            "the library FriBidi is missing", hint="Install the Debian package libfribidi0."
        ) from error


def _invisible(char: str) -> bool:
    return char in DIRECTIONS or char in JOINERS
