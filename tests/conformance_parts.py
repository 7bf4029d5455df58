"""What the parts of the conformance statement are written with."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.datadict import dictionary_description


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [list(head), ["---"] * len(list(head)), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def hexadecimal(status: int) -> str:
    return f"{status:04X}H"


def attribute(*path: int) -> str:
    """As PS3.4 writes it: > for each sequence around it."""
    tag = path[-1]
    return f"{'>' * (len(path) - 1)}{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def attributes(rows: Iterable[tuple[tuple[int, ...], str, str]]) -> str:
    """Paths, whether each must be there ("1"), what it is used for."""
    return table(("Attribute", "Must be there", "Use"), ((attribute(*path), must, use) for path, must, use in rows))
