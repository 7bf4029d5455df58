"""What a printer would put on paper: ESC/POS bytes to pictures. Written from the manual, independent of the product.

Anything that a slip has no business to hold, text included, is an error: that is how the tests know that no name can
reach the printer as a command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import zxingcpp
from PIL import Image

LINE_DOTS = 30  # ESC d: default line spacing at 203 dpi, 3.75 mm
WHITE = 1


class UnknownCommandError(Exception):
    """Bytes that a slip must not hold."""


@dataclass(frozen=True)
class Initialise: ...


@dataclass(frozen=True)
class Raster:
    picture: Image.Image


@dataclass(frozen=True)
class Feed:
    dots: int


@dataclass(frozen=True)
class Cut: ...


@dataclass(frozen=True)
class StatusRequest:
    """DLE EOT n"""

    number: int


@dataclass(frozen=True)
class PaperStatusRequest:
    """GS r n"""

    number: int


@dataclass(frozen=True)
class AutomaticStatus:
    """GS a n: which changes the printer tells of by itself; 0: none."""

    mask: int


@dataclass(frozen=True)
class Nothing:
    """NUL between commands"""


@dataclass(frozen=True)
class ProcessIdRequest:
    """GS ( H function 48"""

    process_id: bytes


@dataclass(frozen=True)
class Density:
    """GS ( K function 49; 0 is as the printer is set up, 5 % a step."""

    steps: int


Command = (
    Initialise
    | Raster
    | Feed
    | Cut
    | StatusRequest
    | PaperStatusRequest
    | AutomaticStatus
    | Nothing
    | ProcessIdRequest
    | Density
)


class Interpreter:
    """Takes bytes in any pieces, gives whole commands, each with the bytes it was made of."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterator[tuple[Command, bytes]]:
        self._held += data
        while (length := _length(self._held)) and len(self._held) >= length:
            one, self._held = self._held[:length], self._held[length:]
            yield _command(one), one

    @property
    def finished(self) -> bool:
        return not self._held


# Fixed lengths, bytes, by prefix; the longest prefix wins.
LENGTHS = {
    b"\x1b@": 2,
    b"\x1bd": 3,
    b"\x1bJ": 3,
    b"\x10\x04": 3,
    b"\x1dr": 3,
    b"\x1da": 3,
    b"\x00": 1,
    b"\x1dV\x00": 3,
    b"\x1dV\x01": 3,
    b"\x1dV0": 3,
    b"\x1dV1": 3,
    b"\x1dVA": 4,
    b"\x1dVB": 4,
    b"\x1d(H": 11,
    b"\x1d(K": 7,
}
RASTER, RASTER_HEADER_BYTES = b"\x1dv0", 8


def _length(held: bytes) -> int:
    """Of the first command; 0 while that cannot be told."""
    if held.startswith(RASTER):
        if len(held) < RASTER_HEADER_BYTES:
            return 0
        return RASTER_HEADER_BYTES + int.from_bytes(held[4:6], "little") * int.from_bytes(held[6:8], "little")
    for prefix, length in LENGTHS.items():
        if held.startswith(prefix):
            return length
    if any(prefix.startswith(held) for prefix in [*LENGTHS, RASTER]):
        return 0
    raise UnknownCommandError(f"not a command of a slip: {held[:8].hex(' ')}")


def _command(one: bytes) -> Command:
    if one.startswith(RASTER):
        return _raster(one)
    return READERS[one[:2]](one)


def _block(one: bytes) -> ProcessIdRequest | Density:
    if one[:6] == b"\x1d(K\x02\x001":
        return Density(int.from_bytes(one[6:], "big", signed=True))
    if one[3:7] != b"\x06\x0000":
        raise UnknownCommandError(f"not function 48 of GS ( H: {one.hex(' ')}")
    return ProcessIdRequest(one[7:11])


def _raster(one: bytes) -> Raster:
    if one[3] not in (0, 48):
        raise UnknownCommandError("GS v 0 in a stretched mode would make the code's modules oblong")
    size = int.from_bytes(one[4:6], "little") * 8, int.from_bytes(one[6:8], "little")
    return Raster(Image.frombytes("1", size, one[RASTER_HEADER_BYTES:], "raw", "1;I"))


READERS: dict[bytes, Callable[[bytes], Command]] = {
    b"\x1b@": lambda one: Initialise(),
    b"\x1bd": lambda one: Feed(one[2] * LINE_DOTS),
    b"\x1bJ": lambda one: Feed(one[2]),
    b"\x10\x04": lambda one: StatusRequest(one[2]),
    b"\x00": lambda one: Nothing(),
    b"\x1da": lambda one: AutomaticStatus(one[2]),
    b"\x1dr": lambda one: PaperStatusRequest(one[2]),
    b"\x1dV": lambda one: Cut(),
    b"\x1d(": _block,
}


class Paper:
    """What has been burnt since the last cut."""

    def __init__(self) -> None:
        self._pieces: list[Raster | Feed] = []

    def add(self, piece: Raster | Feed) -> None:
        self._pieces.append(piece)

    @property
    def burnt(self) -> bool:
        return any(isinstance(piece, Raster) for piece in self._pieces)

    def cut(self) -> Image.Image:
        width = max((piece.picture.width for piece in self._pieces if isinstance(piece, Raster)), default=1)
        page = Image.new("1", (width, max(1, sum(map(_height, self._pieces)))), WHITE)
        top = 0
        for piece in self._pieces:
            if isinstance(piece, Raster):
                page.paste(piece.picture, (0, top))
            top += _height(piece)
        self._pieces.clear()
        return page


def _height(piece: Raster | Feed) -> int:
    return piece.picture.height if isinstance(piece, Raster) else piece.dots


def slips(data: bytes) -> list[Image.Image]:
    """The slips that these bytes print: one a cut, and what lies uncut at the end."""
    interpreter, paper, done = Interpreter(), Paper(), []
    for command, _ in interpreter.feed(data):
        if isinstance(command, Raster | Feed):
            paper.add(command)
        elif isinstance(command, Cut):
            done.append(paper.cut())
    if not interpreter.finished:
        raise UnknownCommandError("the bytes end in the middle of a command")
    return [*done, paper.cut()] if paper.burnt else done


def decode_qr(picture: Image.Image) -> str:
    """The text of the one QR code on the picture, read by ZXing."""
    codes = zxingcpp.read_barcodes(picture.convert("L"), formats=zxingcpp.BarcodeFormat.QRCode)
    if len(codes) != 1:
        raise ValueError(f"{len(codes)} codes on the picture, not one")
    return str(codes[0].text)
