"""What was acknowledged is safe, wherever the box is killed and whichever call its disk fails at.

Each experiment (`experiments`) ends with the same inspection (`inspection`). Points are all the watched system calls
of a run that nothing disturbs, from the first A-ASSOCIATE-RQ to the slip: some of them here, all of them among the
long tests.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

import pytest

from tests.crash.lanes import Lanes, problems
from tests.crash.modality import SIZES
from tests.crash.plan import Outcome, Plan

COUNTING_RUNS = 2  # threads take turns anew each time: the longest tells how many points there are
REACHED = 0.5  # of the points at least: one sync may serve several images, and then there are fewer

STRIDES = [pytest.param(17, id="some"), pytest.param(1, id="all", marks=[pytest.mark.long, pytest.mark.timeout(900)])]


def sweep(lanes: Lanes, kind: str, stride: int, error: int = 0) -> tuple[Outcome, list[Outcome]]:
    """The undisturbed run, and those with a disturbance at every `stride`-th point."""
    counted = lanes.carry_out([Plan(kind, 0, error)] * COUNTING_RUNS)
    assert not problems(counted), problems(counted)
    longest = max(counted, key=lambda outcome: len(outcome.calls))
    points = range(min(stride, 5), len(longest.calls) + 1, stride)
    outcomes = lanes.carry_out(Plan(kind, at, error) for at in points)
    assert not problems(outcomes), problems(outcomes)
    assert sum(outcome.reached for outcome in outcomes) >= REACHED * len(points)
    return longest, outcomes


def ended_differently(outcomes: Sequence[Outcome]) -> set[int]:
    return {outcome.acknowledged for outcome in outcomes}


@pytest.mark.parametrize("stride", STRIDES)
def test_killed_at_any_call_it_keeps_what_it_acknowledged(lanes: Lanes, stride: int) -> None:
    undisturbed, outcomes = sweep(lanes, "kill", stride)
    files = {file.rpartition(".")[2] for _, file in undisturbed.calls}
    assert files >= {"spool", "db-wal", "part"}, "spool, journal and slip were all written under our eyes"
    assert {"fdatasync", "fsync", "sendto", "rename"} <= {name for name, _ in undisturbed.calls}
    assert len(ended_differently(outcomes)) > 2, "some of the kills came amid reception"


@pytest.mark.parametrize("stride", STRIDES)
def test_killed_at_any_call_of_a_start_it_starts_the_next_time(lanes: Lanes, stride: int) -> None:
    _, outcomes = sweep(lanes, "kill the start", stride)
    assert ended_differently(outcomes) == {len(SIZES)}


@pytest.mark.parametrize("stride", STRIDES)
def test_any_call_of_its_disk_may_fail_and_nothing_lost_is_acknowledged(lanes: Lanes, stride: int) -> None:
    """A spool that failed refuses, says so, and never syncs again; a journal that failed ends the box."""
    _, outcomes = sweep(lanes, "fail", stride, errno.EIO)
    assert any(outcome.refused for outcome in outcomes)
    assert any("ended 1" in outcome.notes for outcome in outcomes)


@pytest.mark.parametrize("stride", STRIDES)
def test_what_the_disk_tells_only_later_is_believed_all_the_same(lanes: Lanes, stride: int) -> None:
    _, outcomes = sweep(lanes, "fail later", min(stride, 5))
    assert any(outcome.refused for outcome in outcomes)


@pytest.mark.parametrize(
    "error", [errno.EIO, pytest.param(errno.ENOSPC, marks=pytest.mark.long)], ids=errno.errorcode.get
)
def test_no_sync_of_the_spool_that_failed_is_tried_again(lanes: Lanes, error: int) -> None:
    """That the disk is full is no better reason."""
    _, outcomes = sweep(lanes, "fail a sync", 1, error)
    assert all(outcome.refused for outcome in outcomes if outcome.reached)


@pytest.mark.parametrize("stride", STRIDES)
def test_a_disk_that_is_full_from_any_call_on_is_waited_out(lanes: Lanes, stride: int) -> None:
    """Refused with 0xA700 meanwhile; nobody need restart anything when there is room again."""
    _, outcomes = sweep(lanes, "fill", stride, errno.ENOSPC)
    assert any(outcome.refused for outcome in outcomes)
    assert not any(outcome.restarts for outcome in outcomes)
