"""A receipt printer as it is inside: a small buffer, lines of dots that are burnt as they come, and what goes wrong.

It works through its buffer at its own speed in the loop's time. Out of paper or open it stops, keeps what it holds and
**goes on** afterwards; without power it forgets; unplugged it goes on with what it has. Written from the manuals, and
stricter than the readers of a finished job: a byte that is neither a command nor a dot would be a letter on the paper.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from PIL import Image

from appliance.errors import PrinterUnreachableError

BUFFER_BYTES = 3072
BYTES_A_SECOND = 20_000
AT_ONCE_BYTES = 512
CUT_S = 0.5  # from the command to the end of the movement
LATE_S = 30.0
FINE = 0x12
FIRST_LETTER = 0x20  # what is below and no command is ignored
LENGTHS = {b"\x1b@": 2, b"\x1da": 3, b"\x1dr": 3, b"\x1dV": 4, b"\x1bd": 3, b"\x1d(": 11, b"\x10\x04": 3}
CLEAR = bytes.fromhex("10 14 08 01 03 14 01 06 02 08")


class Fault(StrEnum):
    UNPLUGGED = "unplugged"
    PAPER_OUT = "paper out"
    COVER_OPEN = "cover open"
    POWER_CYCLE = "power cycle"
    SILENCE = "silence"
    LATE_ANSWERS = "late answers"
    WRONG_ID = "wrong id"
    GARBAGE = "garbage"


TOLD = {Fault.UNPLUGGED, Fault.PAPER_OUT, Fault.COVER_OPEN, Fault.POWER_CYCLE}  # what a printer or its line tells
CUT_OFF = (Fault.UNPLUGGED, Fault.POWER_CYCLE)
STOPS = (Fault.PAPER_OUT, Fault.COVER_OPEN)


@dataclass
class Piece:
    """Paper between two cuts: rows of dots, and when each was burnt."""

    rows: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def picture(self) -> Image.Image:
        width = max((len(row) for row in self.rows), default=1)
        burnt = b"".join(row.ljust(width, b"\x00") for row in self.rows)
        return Image.frombytes("1", (width * 8, max(1, len(self.rows))), burnt or b"\x00", "raw", "1;I")


class Machine:
    def __init__(self, *, answers_process_ids: bool = True, answers_in_turn: bool = True, seed: int = 0) -> None:
        self._answers_process_ids = answers_process_ids
        self._answers_in_turn = answers_in_turn
        self._chance = random.Random(seed)
        self.pieces = [Piece()]
        self.button_pressed = False  # to feed paper; offline meanwhile
        self.letters = b""  # bytes that no command began with
        self.fault: Fault | None = None
        self.struck_at = self.mended_at = -1.0
        self.mended = asyncio.Event()
        self._strike: Callable[[], None] = lambda: None
        self._until_strike = -1  # bytes; -1: never
        self._changed = asyncio.Event()
        self._said = b""
        self.connection = 0  # changes when the line dies
        self._forget_everything()

    def arm(self, fault: Fault, byte: int, lasts_s: float) -> None:
        """`fault` strikes when `byte` bytes of slips have been worked through, once, and is mended after a while."""
        self._until_strike = byte
        self._strike = lambda: self.strike(fault, lasts_s)

    # Faults

    def strike(self, fault: Fault, lasts_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.fault, self.struck_at = fault, loop.time()
        loop.call_later(lasts_s, self._mend)
        if fault in CUT_OFF:
            self.connection += 1
        if fault is Fault.POWER_CYCLE:
            self._forget_everything()
        if fault is Fault.GARBAGE:
            self._utter(b"\x00")
        self._tell_change()

    def _mend(self) -> None:
        self.fault, self.mended_at = None, asyncio.get_running_loop().time()
        self.mended.set()
        self._tell_change()
        self._work_soon()

    def _forget_everything(self) -> None:
        self._buffer = b""
        self._picture_rows = self._row_bytes = 0
        self._automatic = False
        self._said = b""
        self._at_work = False
        self._life = object()  # answers that were on their way belong to an earlier one
        self._changed.set()

    # The line

    @property
    def there(self) -> bool:
        return self.fault not in CUT_OFF

    def take(self, data: bytes) -> int:
        """How many bytes went into the buffer. Real-time questions are answered whatever its state."""
        if not self.there:
            return len(data)
        if data == CLEAR:
            self._buffer, self._picture_rows = b"", 0
            self._utter(b"\x37\x25\x00")
            self._changed.set()
            return len(data)
        if data[:2] == b"\x10\x04":
            self._utter(bytes([FINE | self._bits(data[2])]))
            if len(self._buffer) + len(data) > BUFFER_BYTES:
                return len(data)
        taken = data[: BUFFER_BYTES - len(self._buffer)]
        self._buffer += taken
        self._work_soon()
        return len(taken)

    def _bits(self, number: int) -> int:
        if self.button_pressed:
            return {1: 0x48, 2: 0x08}.get(number, 0)
        if self.fault is Fault.PAPER_OUT:
            return {1: 0x08, 2: 0x20, 4: 0x60}.get(number, 0)
        return {1: 0x08, 2: 0x04}.get(number, 0) if self.fault is Fault.COVER_OPEN else 0

    def _tell_change(self) -> None:
        if self._automatic:
            paper, cover = self.fault is Fault.PAPER_OUT, self.fault is Fault.COVER_OPEN
            self._utter(bytes([0x10 | 0x08 * (paper or cover) | 0x20 * cover, 0, 0x0C * paper, 0x0F]))
        self._changed.set()

    def _utter(self, answer: bytes) -> None:
        if self.fault is Fault.SILENCE:
            return
        if self.fault is Fault.WRONG_ID and answer[:2] == b"\x37\x22":
            answer = b"\x37\x22" + bytes([answer[2] ^ 1]) + answer[3:]
        if self.fault is Fault.GARBAGE:
            answer = self._chance.randbytes(self._chance.randrange(1, 9))
        if self.fault is Fault.LATE_ANSWERS:
            asyncio.get_running_loop().call_later(LATE_S, self._say, answer, self._life)
        else:
            self._say(answer, self._life)

    def _say(self, answer: bytes, life: object) -> None:
        if life is self._life:
            self._said += answer
            self._changed.set()

    def heard(self) -> bytes:
        said, self._said = self._said, b""
        return said

    async def change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    # Working through the buffer

    def _work_soon(self) -> None:
        if self._at_work:
            return
        self._at_work = True
        asyncio.get_running_loop().call_later(AT_ONCE_BYTES / BYTES_A_SECOND, self._work, self._life)

    def _work(self, life: object) -> None:
        if life is not self._life:
            return
        done, self._at_work = 0, False
        while life is self._life and self.fault not in STOPS and done < AT_ONCE_BYTES:
            one = self._next()
            if not one:
                break
            done += len(one)
            if one[:2] != b"\x10\x04":  # questions are no part of a slip
                self._count(len(one))
        if done:
            self._changed.set()
        if done >= AT_ONCE_BYTES and life is self._life:
            self._work_soon()

    def _count(self, length: int) -> None:
        if self._until_strike >= 0:
            self._until_strike -= length
            if self._until_strike < 0:
                self._strike()

    def _next(self) -> bytes:
        """Obey the first command, or burn the first row of the picture that is being sent."""
        if self._picture_rows:
            row = self._cut_off(self._row_bytes)
            if row:
                self._picture_rows -= 1
                self._burn(row)
            return row
        if self._buffer[:1] == b"\x00":
            return self._cut_off(1)
        if self._buffer[:3] == b"\x1dv0":
            header = self._cut_off(8)
            if header:
                self._row_bytes = int.from_bytes(header[4:6], "little")
                self._picture_rows = int.from_bytes(header[6:8], "little")
            return header
        return self._obey()

    def _obey(self) -> bytes:
        length = LENGTHS.get(self._buffer[:2], 0)
        if not length:
            if len(self._buffer) >= 3:
                if self._buffer[0] >= FIRST_LETTER:
                    self.letters += self._buffer[:1]
                return self._cut_off(1)
            return b""
        command = self._cut_off(length)
        match command[:2]:
            case b"\x1b@":
                self._automatic = False
            case b"\x1da":
                self._automatic = command[2] != 0
                self._tell_change()
            case b"\x1dr" if self._answers_in_turn:
                self._utter(b"\x00")
            case b"\x1dV":
                self.pieces.append(Piece())
            case b"\x1d(" if self._answers_process_ids:
                answer = b"\x37\x22" + command[7:11] + b"\x00"
                asyncio.get_running_loop().call_later(CUT_S, self._answer_if_well, answer, self._life)
        return command

    def _answer_if_well(self, answer: bytes, life: object) -> None:
        if life is self._life:
            self._utter(answer)

    def _cut_off(self, length: int) -> bytes:
        """The first bytes of the buffer; none while they are not all there."""
        if len(self._buffer) < length:
            return b""
        one, self._buffer = self._buffer[:length], self._buffer[length:]
        return one

    def _burn(self, row: bytes) -> None:
        self.pieces[-1].rows.append(row)
        self.pieces[-1].times.append(asyncio.get_running_loop().time())


class MachineLine:
    """The port `Transport` to a machine, as on a USB cable: what it says while nobody reads is kept.

    On a serial one (`serial`) nobody notices that the other end is gone: bytes go nowhere, and nothing is heard.
    """

    def __init__(self, machine: Machine, *, serial: bool = False) -> None:
        self._machine = machine
        self._serial = serial
        self._connection = -1

    async def open(self, within_s: float) -> None:
        if not self._machine.there and not self._serial:
            raise PrinterUnreachableError("no printer is plugged in")
        self._connection = self._machine.connection

    async def write(self, data: bytes, within_s: float) -> None:
        left = data
        try:
            async with asyncio.timeout(within_s):
                while left:
                    self._check()
                    left = left[self._machine.take(left) :]
                    if left:
                        await self._machine.change()
        except TimeoutError as error:
            raise PrinterUnreachableError("the printer stopped taking bytes") from error

    async def read(self, within_s: float) -> bytes:
        try:
            async with asyncio.timeout(within_s):
                while True:
                    self._check()
                    if said := self._machine.heard():
                        return said
                    await self._machine.change()
        except TimeoutError:
            return b""

    async def close(self) -> None:
        self._connection = -1

    def _check(self) -> None:
        dead = self._connection != self._machine.connection or not self._machine.there
        if dead and not self._serial:
            raise PrinterUnreachableError("the printer was unplugged")
