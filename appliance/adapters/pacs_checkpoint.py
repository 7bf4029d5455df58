"""Keeps pynetdicom from taking away the answer that a question of ours waits for.

An association has a thread that looks for what the peer says of itself. While we ask something it is to stand still:
it waits at a checkpoint, and counts as paused. But in 3.0.4 it counts as paused already before it looks whether it may
pass; when it passes just then, it takes a quick answer off the queue as a message that nobody expected, and whoever
asked waits until his time is over. Seen about once in a thousand questions on a busy machine.
"""

from __future__ import annotations

import threading
from typing import Any

STANDS_WITHIN_S = 1.0  # it comes by every millisecond; a thread that has ended never does


class Checkpoint:
    """In the place of its `threading.Event`: once closed, the thread really stands before it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = True
        self._times_opened = 0
        self._standing = False

    def wait(self) -> None:
        """Also passes when it was closed again meanwhile: only then does the library say anew that it is paused."""
        with self._changed:
            before = self._times_opened
            self._standing = not self._open
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._open or self._times_opened > before)
            self._standing = False

    def clear(self) -> None:
        with self._changed:
            self._open = False
            self._changed.wait_for(lambda: self._standing, STANDS_WITHIN_S)

    def set(self) -> None:
        with self._changed:
            self._open = True
            self._times_opened += 1
            self._standing = False
            self._changed.notify_all()


def steady(association: Any) -> Any:
    """The same association, of which no answer gets lost."""
    association._reactor_checkpoint = Checkpoint()  # noqa: SLF001 - the library has no other door to it
    return association
