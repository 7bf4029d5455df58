"""One Protocol for every outside thing, and the values that cross it. Adapters implement these; tests bring fakes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds. May jump; never decides what has expired (the vault's clock does)."""

    def monotonic(self) -> float: ...


class Paper(StrEnum):
    OK = "ok"
    LOW = "low"
    OUT = "out"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PrinterStatus:
    """What the printer says of itself; None or UNKNOWN where it does not say."""

    reachable: bool
    paper: Paper = Paper.UNKNOWN
    cover_open: bool | None = None
    error: bool | None = None
    detail: str = ""  # one sentence for a person

    @property
    def ready(self) -> bool:
        return self.reachable and self.paper is not Paper.OUT and not self.cover_open and not self.error


class PrintOutcome(StrEnum):
    PRINTED = "printed"  # confirmed in the best way that this printer has
    UNKNOWN = "unknown"  # at least one byte left and nobody knows what came out
    REFUSED = "refused"  # not one byte left; trying again is safe


@dataclass(frozen=True)
class PrintJob:
    number: str  # of the slip: [A-Z0-9-], names the files of a file:// printer
    data: bytes  # ESC/POS
    picture: bytes  # PNG of what it looks like
    process_id: bytes  # 4 printable bytes, asked back by GS ( H where the printer has it


class Printer(Protocol):
    """One receipt printer. Both calls end within a finite time, whatever the device does."""

    async def status(self) -> PrinterStatus: ...

    async def print(self, job: PrintJob) -> PrintOutcome: ...
