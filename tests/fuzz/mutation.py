"""Inputs by mutation of good ones: the same seed and number make the same input on every machine."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.fuzz.seeds import seeds

LENGTHS = (0, 1, 2, 3, 4, 5, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
WORDS = (b"SQ", b"UN", b"OB", b"UI", b"PN", b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0", b"\x1b$B")
MOST_CHANGES = 6


def made(target: str, seed: int, number: int) -> bytes:
    """Input `number` of the run `seed`."""
    chance = random.Random(f"{target} {seed} {number}")
    data = bytearray(chance.choice(seeds(target)))
    for _ in range(chance.randint(1, MOST_CHANGES)):
        chance.choice(CHANGES)(data, chance)
    return bytes(data)


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _lie(data: bytearray, chance: random.Random) -> None:
    """A length that is not so, of either byte order."""
    at, size = chance.randrange(len(data) + 1), chance.choice((1, 2, 4))
    length = chance.choice(LENGTHS) & ((1 << 8 * size) - 1)
    data[at : at + size] = length.to_bytes(size, chance.choice(("big", "little")))  # type: ignore[arg-type]


def _say(data: bytearray, chance: random.Random) -> None:
    at, word = chance.randrange(len(data) + 1), chance.choice(WORDS)
    data[at : at + len(word) * chance.randrange(2)] = word


def _repeat(data: bytearray, chance: random.Random) -> None:
    at, size = chance.randrange(len(data) + 1), chance.randrange(1, 200)
    data[at:at] = data[at : at + size] * chance.choice((1, 1, 1, 2, 50))


def _drop(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) + 1)
    del data[at : at + chance.randrange(1, 40)]


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data) + 1) :]


CHANGES: list[Callable[[bytearray, random.Random], None]] = [_flip, _flip, _lie, _lie, _say, _repeat, _drop, _cut]
