"""Clocks that only the test moves."""

from __future__ import annotations

START = 1_795_000_000.0


class FakeClock:
    """Stands still until `advance`; `jump` moves the wall's clock alone."""

    def __init__(self, start: float = START) -> None:
        self._wall = start
        self._monotonic = 1000.0

    def now(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._wall += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """As when a time server corrects a wrong clock."""
        self._wall += seconds
