"""ESC/POS: a slip's picture as printer bytes, questions to the printer, and what its answers mean.

python-escpos renders the commands; no byte of a slip is text. No device is touched here: that is `adapters.printers`.
Command names are those of Epson's ESC/POS reference.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from PIL import Image

from appliance.errors import FormatError

if TYPE_CHECKING:
    from appliance.formats.printer_profiles import Profile

STRIP_BYTES = 8192  # of one GS v 0; cheap printers lose their place in longer ones
FEED_LINES = 5  # without a cutter: past the tear-off edge
PROCESS_ID_BYTES = 4
PICKLE_FOLDER = "ESCPOS_CAPABILITIES_PICKLE_DIR"  # python-escpos's own setting

# DLE EOT n, transmit real-time status: answered at once, even while the printer is busy or offline
ASK_PRINTER = b"\x10\x04\x01"
ASK_OFFLINE_CAUSE = b"\x10\x04\x02"
ASK_ERROR_CAUSE = b"\x10\x04\x03"
ASK_PAPER = b"\x10\x04\x04"

ASK_PAPER_IN_TURN = b"\x1dr\x01"  # GS r: answered when the printer has worked through what came before it
AUTOMATIC_ON = b"\x1da\x0e"  # GS a: tell of every change of online, error and paper; ESC @ switches it off
AUTOMATIC_OFF = b"\x1da\x00"
CLEAR = b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08"  # DLE DC4 function 8; wait for its answer before sending on
INITIALISE = b"\x1b@"

# What printers obey in the middle of a picture: DLE EOT, DLE ENQ and DLE DC4 as dots, where black is 0.
REAL_TIME_IN_DOTS = re.compile(rb"\xef(?=[\xfb\xfa\xeb])")


def slip(picture: Image.Image, profile: Profile, process_id: bytes) -> bytes:
    """A whole job: ESC @, GS a, GS ( K, the picture as GS v 0 strips, feed or cut, GS ( H; each where the model has it.

    `picture` is mode "1" with black 0, no wider than the model's line; `process_id` four printable ASCII bytes.
    """
    return papers([picture], profile, process_id)


def papers(pictures: Sequence[Image.Image], profile: Profile, process_id: bytes) -> bytes:
    """The same with several papers, each cut off by itself."""
    start = INITIALISE + (AUTOMATIC_ON if profile.automatic else b"") + _darkness(profile.density)
    job = start + b"".join(_strips(picture, profile) + tear(profile) for picture in pictures)
    return job + request_process_id(process_id) if profile.confirmation == "process-id" else job


def held_back(
    picture: Image.Image, void: Image.Image, profile: Profile, process_id: bytes
) -> tuple[bytes, bytes, bytes]:
    """A slip that hangs from the printer until its code has been read; what cuts it off; what spoils it and cuts it."""
    word = request_process_id(process_id) if profile.confirmation == "process-id" else b""
    start = INITIALISE + (AUTOMATIC_ON if profile.automatic else b"") + _darkness(profile.density)
    end = tear(profile) + word
    return start + _strips(picture, profile) + word, end, _strips(void, profile) + end


def _strips(picture: Image.Image, profile: Profile) -> bytes:
    line = max(profile.dots_58, profile.dots_80)
    if picture.width > line:
        raise FormatError(
            f"a slip {picture.width} dots wide is wider than the line of the {profile.model}, {line} dots"
        )
    printer = _dummy(line)
    width_bytes = (picture.width + 7) // 8
    printer.image(
        _without_real_time(picture), impl="bitImageRaster", fragment_height=max(1, (STRIP_BYTES - 8) // width_bytes)
    )
    return bytes(printer.output)


def _darkness(density: int) -> bytes:
    """GS ( K function 49: 5 % a step. ESC @ forgets it."""
    return b"\x1d(K\x02\x001" + density.to_bytes(1, "big", signed=True) if density else b""


def tear(profile: Profile) -> bytes:
    """The end of a slip: GS V 66 feeds just to the blade and leaves a tab that holds it; without a cutter, ESC d."""
    return b"\x1dVB\x00" if profile.cutter else b"\x1bd" + bytes([FEED_LINES])


def end_unfinished() -> bytes:
    """For printers that cannot clear their buffer: ends a half-sent picture in white, so that commands are heard again.

    Between commands the zeros do nothing; ESC @ alone would be taken for dots.
    """
    return bytes(STRIP_BYTES) + INITIALISE


def _without_real_time(picture: Image.Image) -> Image.Image:
    """The picture, where a lone dot might begin a real-time command with one more dot beside it."""
    dots = picture.tobytes()
    safe = REAL_TIME_IN_DOTS.sub(b"\xe7", dots)
    return picture if safe == dots else Image.frombytes("1", picture.size, safe)


def request_process_id(process_id: bytes) -> bytes:
    """GS ( H function 48: the printer sends `process_id` back when everything before it has been printed."""
    if len(process_id) != PROCESS_ID_BYTES or not all(32 <= byte <= 126 for byte in process_id):
        raise FormatError("a process id is four printable ASCII bytes")
    return b"\x1d(H\x06\x000" + b"0" + process_id


@cache
def library() -> ModuleType:
    """python-escpos, loaded at first use and without its side effects.

    Loading it takes 0.2 s, adds a handler to the root logger (each of our log lines would come out twice) and leaves a
    folder in the temporary directory, for ever.
    """
    root = logging.getLogger()
    handlers = list(root.handlers)
    import escpos.capabilities
    import escpos.printer

    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
    if PICKLE_FOLDER not in os.environ:  # otherwise the folder is the administrator's
        shutil.rmtree(escpos.capabilities.pickle_dir, ignore_errors=True)
    return cast("ModuleType", escpos)


def _dummy(line_dots: int) -> Any:
    """A printer of the library's that only collects bytes. It must know a width, or the library prints a complaint."""
    capabilities = library().capabilities.Profile()
    capabilities.profile_data = {**capabilities.profile_data, "media": {"width": {"pixels": line_dots}}}
    return library().printer.Dummy(profile=capabilities)


@dataclass(frozen=True)
class RealTimeStatus:
    """One byte in answer to DLE EOT. It does not say which question it answers: ask one at a time."""

    byte: int

    @property
    def offline(self) -> bool:  # DLE EOT 1
        return bool(self.byte & 0x08)

    @property
    def feed_button(self) -> bool:  # DLE EOT 1: pressed at this moment
        return bool(self.byte & 0x40)

    @property
    def cover_open(self) -> bool:  # DLE EOT 2
        return bool(self.byte & 0x04)

    @property
    def stopped_by_paper_end(self) -> bool:  # DLE EOT 2
        return bool(self.byte & 0x20)

    @property
    def error(self) -> bool:  # DLE EOT 2
        return bool(self.byte & 0x40)

    @property
    def cutter_error(self) -> bool:  # DLE EOT 3
        return bool(self.byte & 0x08)

    @property
    def unrecoverable_error(self) -> bool:  # DLE EOT 3
        return bool(self.byte & 0x20)

    @property
    def paper_near_end(self) -> bool:  # DLE EOT 4
        return bool(self.byte & 0x0C)

    @property
    def paper_end(self) -> bool:  # DLE EOT 4
        return bool(self.byte & 0x60)


@dataclass(frozen=True)
class PaperStatus:
    """One byte in answer to GS r 1, which the printer reaches in its turn, after what was sent before it."""

    byte: int

    @property
    def paper_near_end(self) -> bool:
        return bool(self.byte & 0x03)

    @property
    def paper_end(self) -> bool:
        return bool(self.byte & 0x0C)


@dataclass(frozen=True)
class AutomaticStatus:
    """Four bytes that come unasked (GS a): because we, another program or a switch turned them on."""

    frame: bytes

    @property
    def offline(self) -> bool:
        return bool(self.frame[0] & 0x08)

    @property
    def cover_open(self) -> bool:
        return bool(self.frame[0] & 0x20)

    @property
    def cutter_error(self) -> bool:
        return bool(self.frame[1] & 0x08)

    @property
    def unrecoverable_error(self) -> bool:
        return bool(self.frame[1] & 0x20)

    @property
    def error(self) -> bool:
        """One that a person clears (jam), or that passes by itself (heat)."""
        return bool(self.frame[1] & 0x44)

    @property
    def paper_near_end(self) -> bool:
        return bool(self.frame[2] & 0x03)

    @property
    def paper_end(self) -> bool:
        return bool(self.frame[2] & 0x0C)


@dataclass(frozen=True)
class ProcessId:
    """37 22 d1 d2 d3 d4 00: everything before this id's request has been printed."""

    value: bytes


@dataclass(frozen=True)
class Cleared:
    """37 25 00: the answer to DLE DC4 function 8."""


Answer = RealTimeStatus | PaperStatus | AutomaticStatus | ProcessId | Cleared


class Answers:
    """Splits what a printer sends into answers, whatever the pieces it arrives in.

    Bytes that fit nothing are dropped: line noise, XON and XOFF, the tail of an answer to a connection long gone.
    """

    def __init__(self) -> None:
        self._held = b""

    def feed(self, received: bytes) -> list[Answer]:
        self._held += received
        answers: list[Answer] = []
        while self._held:
            length, answer = _next(self._held)
            if not length:  # the rest of it has not come yet
                break
            self._held = self._held[length:]
            if answer is not None:
                answers.append(answer)
        return answers


BLOCK_HEADER, PROCESS_ID_BLOCK, NUL = 0x37, 0x22, 0
CLEARED_BLOCK = b"\x37\x25"
LONGEST_BLOCK = 80  # header to NUL; a longer one is noise that began like a block


def _next(held: bytes) -> tuple[int, Answer | None]:
    """How many bytes the first answer takes (0: not all there), and what it is (None: to be dropped).

    The fixed bits tell the kinds apart: 0xx1xx10 DLE EOT, 0xx1xx00 the first of an automatic status, 0xx0xxxx GS r.
    """
    first = held[0]
    if first == BLOCK_HEADER:
        return _block(held)
    if first & 0x93 == 0x12:
        return 1, RealTimeStatus(first)
    if first & 0x93 == 0x10:
        return _automatic_status(held)
    if first & 0x90 == 0:
        return 1, PaperStatus(first)
    return 1, None


def _block(held: bytes) -> tuple[int, Answer | None]:
    end = held.find(NUL, 0, LONGEST_BLOCK)
    if end < 0:
        return (1 if len(held) >= LONGEST_BLOCK else 0), None
    if end == 2 + PROCESS_ID_BYTES and held[1] == PROCESS_ID_BLOCK:
        return end + 1, ProcessId(held[2:end])
    if held[:end] == CLEARED_BLOCK:
        return end + 1, Cleared()
    return end + 1, None


def _automatic_status(held: bytes) -> tuple[int, Answer | None]:
    if any(byte & 0x90 for byte in held[1:4]):
        return 1, None
    return (4, AutomaticStatus(held[:4])) if len(held) >= 4 else (0, None)
