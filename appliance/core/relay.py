"""What to upload next: packs instances' ciphertext into numbered objects. No I/O.

An object is up to OBJECT_BYTES long and never changes once it has a number, so it can be sent again any number of
times. Small instances share one; a large one spans several. Whatever waits goes: the first image waits for no company.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

OBJECT_BYTES = 8 << 20  # what a fault on the way costs at most; also the vault's limit
IN_FLIGHT = 2  # hides the round trip; a third would take the box over 128 MiB


@dataclass(frozen=True)
class Waiting:
    """An instance whose pieces of ciphertext from `next_piece` on are in no object yet."""

    instance: int
    piece_bytes: tuple[int, ...]
    next_piece: int = 0


@dataclass(frozen=True)
class Part:
    """Pieces `first` to `last` (inclusive) of an instance, at `offset` of an object."""

    instance: int
    first: int
    last: int
    offset: int
    length: int


def pack(waiting: Sequence[Waiting], limit: int = OBJECT_BYTES) -> tuple[Part, ...]:
    """The parts of the next object, in order of arrival; empty when nothing waits."""
    parts: list[Part] = []
    used = 0
    for item in waiting:
        first, last, length = item.next_piece, item.next_piece - 1, 0
        for size in item.piece_bytes[first:]:
            if used + length + size > limit:
                break
            last, length = last + 1, length + size
        if length:
            parts.append(Part(item.instance, first, last, used, length))
            used += length
        if last + 1 < len(item.piece_bytes):
            break  # the object is full; a later instance must not overtake within its own stream
    return tuple(parts)


def backoff_s(failures: int, jitter: float) -> float:
    """Seconds to wait after so many failures in a row: doubling to five minutes, `jitter` from 0 to 1 spreads boxes."""
    doubled: float = 0.5 * 2.0 ** min(failures, 10)
    return min(300.0, doubled) * (0.5 + jitter / 2)
