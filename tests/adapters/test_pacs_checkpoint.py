"""No answer is taken away from who waits for it, however the threads are switched."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.adapters.pacs_checkpoint import STANDS_WITHIN_S, Checkpoint, steady

QUESTIONS = 2000


class Reactor:
    """What pynetdicom 3.0.4 does around its checkpoint, with a peer that answers at once."""

    def __init__(self, checkpoint: Any) -> None:
        self.checkpoint = checkpoint
        self.messages: queue.Queue[int] = queue.Queue()
        self.stolen = 0
        self._paused = self._over = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over:
            self._paused = True
            self.checkpoint.wait()
            self._paused = False
            try:
                self.messages.get_nowait()
            except queue.Empty:
                continue
            self.stolen += 1

    def ask(self, number: int) -> None:
        self.checkpoint.clear()
        while not self._paused:
            time.sleep(0)
        self.messages.put(number)
        try:
            self.messages.get(timeout=0.2)
        except queue.Empty:
            assert self.stolen, "neither of them has it"
        self.checkpoint.set()

    def end(self) -> None:
        self._over = True
        self.checkpoint.set()
        self._thread.join()


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_no_answer_is_taken_away_from_who_waits_for_it() -> None:
    reactor = Reactor(Checkpoint())
    try:
        for number in range(QUESTIONS):
            reactor.ask(number)
    finally:
        reactor.end()
    assert reactor.stolen == 0


def test_a_thread_that_was_let_go_passes_although_it_is_called_back_at_once() -> None:
    checkpoint, passed = Checkpoint(), threading.Event()
    checkpoint.clear()
    waiting = threading.Thread(target=lambda: (checkpoint.wait(), passed.set()))
    waiting.start()
    checkpoint.clear()  # returns when it stands there
    checkpoint.set()
    checkpoint.clear()
    waiting.join(20)
    assert passed.is_set()


def test_who_asks_a_thread_that_has_ended_does_not_wait_for_ever() -> None:
    started = time.monotonic()
    Checkpoint().clear()
    assert time.monotonic() - started < STANDS_WITHIN_S + 10


def test_an_association_gets_it_instead_of_its_own() -> None:
    association = SimpleNamespace(_reactor_checkpoint=threading.Event())
    assert isinstance(steady(association)._reactor_checkpoint, Checkpoint)
