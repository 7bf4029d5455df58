"""Wakes the workers when there may be something to do. A ring is never lost, and many rings are one."""

from __future__ import annotations

import asyncio


class Bell:
    def __init__(self) -> None:
        self._listeners: list[asyncio.Event] = []

    def ring(self) -> None:
        for event in self._listeners:
            event.set()

    def listener(self) -> Listener:
        event = asyncio.Event()
        event.set()  # whoever starts looks first: a crash may have left work
        self._listeners.append(event)
        return Listener(event)


class Listener:
    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    async def wait(self, at_most_s: float) -> None:
        """Until the bell rings, or for so long: the slow poll that makes a forgotten ring harmless."""
        try:
            async with asyncio.timeout(at_most_s):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()
