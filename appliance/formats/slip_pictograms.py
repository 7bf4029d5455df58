"""Small pictures beside the steps, drawn from lines so that they are sharp at every size. They repeat the text.

Each is drawn on a square of 24 units and takes the side in dots.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageDraw

BLACK, PAPER = 0, 255  # of the grey drawing
UNITS = 24
_FINE = 4  # drawn larger and reduced, as Pillow's own circles are ragged when small


class _Board:
    """Draws in units."""

    def __init__(self, side: int) -> None:
        self.side = side
        self._scale = side * _FINE / UNITS
        self._picture = Image.new("L", (side * _FINE, side * _FINE), 255)
        self._pen = ImageDraw.Draw(self._picture)
        self._line = max(2, round(side / 18)) * _FINE

    def box(
        self, left: float, top: float, right: float, bottom: float, *, round_: float = 0, ink: int | None = None
    ) -> None:
        area = [value * self._scale for value in (left, top, right, bottom)]
        self._pen.rounded_rectangle(area, radius=round_ * self._scale, fill=ink, outline=BLACK, width=self._line)

    def dot(self, x: float, y: float, radius: float) -> None:
        self._pen.ellipse([value * self._scale for value in (x - radius, y - radius, x + radius, y + radius)], BLACK)

    def line(self, *points: tuple[float, float]) -> None:
        scaled = [(x * self._scale, y * self._scale) for x, y in points]
        self._pen.line(scaled, BLACK, width=self._line, joint="curve")

    def picture(self) -> Image.Image:
        small = self._picture.resize((self.side, self.side), Image.Resampling.BOX)
        return small.point(lambda level: 255 if level >= 128 else 0).convert("1", dither=Image.Dither.NONE)


def _phone(board: _Board) -> None:
    board.box(5, 1, 19, 23, round_=2.5)
    board.line((10, 20.5), (14, 20.5))


def _point(board: _Board) -> None:
    """A code seen through the phone's camera."""
    _phone(board)
    for left, top, side in ((8, 5, 3.6), (12.8, 5, 3.6), (8, 11, 3.6), (13, 11, 1.4), (15, 13.2, 1.4), (13, 15.2, 1.4)):
        board.box(left, top, left + side, top + side, ink=BLACK)


def _tap(board: _Board) -> None:
    """A finger on a bar that has come up."""
    _phone(board)
    board.box(7.5, 4, 16.5, 8.5, round_=1)
    board.box(9.8, 10.2, 12.4, 17, round_=1.3, ink=BLACK)
    board.box(8.6, 14.5, 16.2, 20, round_=2, ink=BLACK)


def _birth_date(board: _Board) -> None:
    """A sheet of a calendar."""
    board.box(2, 4, 22, 22, round_=1.5)
    board.box(2, 4, 22, 9, round_=1.5, ink=BLACK)
    board.line((7, 1.5), (7, 5))
    board.line((17, 1.5), (17, 5))
    for x in (7, 12, 17):
        for y in (13, 17.5):
            board.dot(x, y, 1.3)


def _pin(board: _Board) -> None:
    """The keys of a telephone."""
    board.box(3, 1, 21, 23, round_=2)
    for x in (7.5, 12, 16.5):
        for y in (5.5, 10, 14.5):
            board.dot(x, y, 1.4)
    board.dot(12, 19, 1.4)


def _see(board: _Board) -> None:
    """A picture on a phone."""
    _phone(board)
    board.dot(9.8, 7.5, 1.6)
    board.line((6, 17), (10, 12), (13, 15), (15.5, 11), (18.5, 16))


_PICTURES: dict[str, Callable[[_Board], None]] = {
    "point": _point,
    "tap": _tap,
    "birth-date": _birth_date,
    "pin": _pin,
    "none": _see,
}


def pictogram(name: str, side: int) -> Image.Image:
    """`name`: point, tap, or what the last step asks for (birth-date, pin, none). Mode "1", black is 0."""
    board = _Board(side)
    _PICTURES[name](board)
    return board.picture()
