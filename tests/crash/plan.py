"""What is done to a box, and what came of it: values that go between processes."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Plan:
    kind: str  # a key of `lane.EXPERIMENTS`
    at: int = 0  # which call, 0 is none, to count them; or how much is left on a disk
    errno: int = 0


@dataclass
class Outcome:
    plan: Plan
    problem: str = ""  # "" when all that was promised was kept
    calls: list[tuple[str, str]] = field(default_factory=list)  # names and files of those that counted, in order
    reached: bool = False
    acknowledged: int = 0
    refused: int = 0
    restarts: int = 0
    start_s: float = 0.0
    notes: list[str] = field(default_factory=list)
