"""Several lanes side by side: hands plans out as lanes become free, and gathers the outcomes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from tests.crash.plan import Outcome, Plan

ROOT = Path(__file__).parents[2]
LANES = (os.cpu_count() or 2) + 1  # one more: each spends a third of its time waiting


class Lanes:
    """Use as `with`. As root they are in a mount namespace of their own: what they mount goes when they go."""

    def __init__(self, folder: Path, enrolment: Path, lanes: int = LANES) -> None:
        """`enrolment` is the enrolment.json of a box that the vault knows: all boxes here are that one."""
        wrapper = ("unshare", "--mount") if os.geteuid() == 0 else ()
        self._command = [*wrapper, sys.executable, "-m", "tests.crash.lane", str(folder), str(enrolment)]
        self._count = lanes
        self._lanes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Lanes:
        pipe = subprocess.PIPE
        for _ in range(self._count):
            self._lanes.append(subprocess.Popen(self._command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True))
        return self

    def __exit__(self, *_: object) -> None:
        for lane in self._lanes:
            lane.communicate()  # the end of its input is the end of it

    def carry_out(self, plans: Iterable[Plan]) -> list[Outcome]:
        """Each plan's outcome, in order of what they are about."""
        waiting, outcomes = deque(plans), list[Outcome]()
        threads = [threading.Thread(target=_work, args=(lane, waiting, outcomes)) for lane in self._lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(outcomes, key=lambda outcome: outcome.plan.at)


def _work(lane: subprocess.Popen[str], waiting: deque[Plan], outcomes: list[Outcome]) -> None:
    assert lane.stdin is not None
    assert lane.stdout is not None
    with contextlib.suppress(IndexError):
        while True:
            plan = waiting.popleft()
            with contextlib.suppress(BrokenPipeError):
                lane.stdin.write(json.dumps(vars(plan)) + "\n")
                lane.stdin.flush()
            line = lane.stdout.readline()
            outcomes.append(_outcome(line) if line else Outcome(plan, "the lane itself ended"))


def _outcome(line: str) -> Outcome:
    value = json.loads(line)
    return Outcome(**{**value, "plan": Plan(**value["plan"]), "calls": [tuple(call) for call in value["calls"]]})


def problems(outcomes: Iterable[Outcome]) -> str:
    """All that went wrong, each with the call that was the last; "" when nothing did."""
    return "\n\n".join(
        f"{one.plan.kind} at {one.plan.at} ({' '.join(one.calls[-1]) if one.calls else 'nothing'}):\n{one.problem}"
        for one in outcomes
        if one.problem
    )
