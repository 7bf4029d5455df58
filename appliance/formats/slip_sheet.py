"""The paper that a slip is set on: its width, its language's direction, its sizes of type, and how parts stand under
each other. All slips are made of the same blocks; those are `slip_layout`.

Sizes are in printer dots: 8 a millimetre at 203 dpi.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image, ImageDraw

from appliance.formats.slip_code import PaperTooNarrowError
from appliance.formats.slip_lines import balanced, isolated, wrap
from appliance.formats.slip_shaping import WHITE, Type

GRID = 8  # dots; everything starts and ends on it, so strips and lines meet whole bytes
NARROWEST_DOTS = 320
LARGE_PRINT = 1.4
HALF_UNIT = 2


@dataclass(frozen=True)
class Sizes:
    """Of type and space, dots."""

    margin: int
    title: int
    body: int
    label: int
    value: int
    marker: int  # diameter of a numbered disc
    icon: int  # side of a pictogram
    gap: int  # between the slip's parts

    def enlarged(self) -> Sizes:
        """For readers who see poorly; margins and gaps stay."""
        grown = {name: round(getattr(self, name) * LARGE_PRINT) for name in ("title", "body", "label", "value")}
        return dataclasses.replace(self, **grown, marker=up(self.marker * LARGE_PRINT))


def up(length: float) -> int:
    """To the next multiple of the grid."""
    return int(-(-length // GRID) * GRID)


NARROW = Sizes(margin=16, title=32, body=23, label=19, value=24, marker=32, icon=40, gap=2 * GRID)
MIDDLE = Sizes(margin=32, title=40, body=27, label=22, value=28, marker=36, icon=48, gap=2 * GRID)
WIDE = Sizes(margin=40, title=44, body=30, label=24, value=33, marker=40, icon=56, gap=3 * GRID)


@dataclass
class Sheet:
    """`unprintable` gathers the characters of all texts set on it that no font has; they come out as "?"."""

    dots: int
    language: str = "en"
    large: bool = False
    unprintable: list[str] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        if self.dots < NARROWEST_DOTS or self.dots % GRID:
            raise PaperTooNarrowError(
                f"a slip cannot be {self.dots} dots wide; it takes a multiple of {GRID} from {NARROWEST_DOTS}"
            )
        sizes = NARROW if self.dots < 480 else MIDDLE if self.dots < 560 else WIDE
        self.sizes = sizes.enlarged() if self.large else sizes

    @property
    def room(self) -> int:
        return self.dots - 2 * self.sizes.margin

    def type(self, size: int, *, bold: bool = False) -> Type:
        return Type(self.language, size, bold)

    def blank(self, height: float) -> Image.Image:
        return Image.new("1", (self.dots, up(height)), WHITE)

    def put(self, page: Image.Image, part: Image.Image, start: int, top: float) -> None:
        """`start` is counted from where the language's lines begin: the left edge, or the right one."""
        left = page.width - start - part.width if Type(self.language, 1).right_to_left else start
        page.paste(part, (left, int(top)))

    def text(
        self, text: str, kind: Type, width: int, max_lines: int, *, centred: bool = False, even: bool = True
    ) -> Image.Image:
        """A column of at most `max_lines` lines, `width` dots wide, all ink inside. `even`: of about equal width."""
        self.unprintable += kind.unprintable(text)
        broken = (balanced if even else wrap)(text, width, kind.width, max_lines)
        lines = [kind.line(line) for line in isolated(broken)]
        column = Image.new("1", (width, sum(line.height for line in lines)), WHITE)
        top = 0
        for line in lines:
            start = (width - line.width) // HALF_UNIT if centred else 0
            self.put(column, line, start, top)
            top += line.height
        return column

    def stack(self, blocks: Sequence[Image.Image], gap: int | None = None, edge: int = 0) -> Image.Image:
        """One under another with `gap` dots between (default: as between parts); those without height leave no gap."""
        gap = self.sizes.gap if gap is None else gap
        shown = [block for block in blocks if block.height]
        page = self.blank(max(0, sum(block.height + gap for block in shown) - gap + 2 * edge))
        top = edge
        for block in shown:
            page.paste(block, (0, top))
            top += block.height + gap
        return page


def inverted(picture: Image.Image) -> Image.Image:
    return picture.point(lambda dot: 0 if dot else 255)


def pen_on(block: Image.Image) -> ImageDraw.ImageDraw:
    pen = ImageDraw.Draw(block)
    pen.fontmode = "1"
    return pen
