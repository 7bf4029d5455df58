"""Disks that really fill up and fail, not calls that say so: see `disks`."""

from __future__ import annotations

from tests.crash.lanes import Lanes, problems
from tests.crash.modality import SIZES
from tests.crash.plan import Outcome, Plan


def carried_out(lanes: Lanes, kind: str, *amounts: int) -> list[Outcome]:
    outcomes = lanes.carry_out(Plan(kind, amount) for amount in amounts)
    assert not problems(outcomes), problems(outcomes)
    return outcomes


def test_a_full_disk_refuses_and_takes_everything_when_there_is_room(mounting_lanes: Lanes) -> None:
    """With less and less KiB left: all, some and none of it fits."""
    outcomes = carried_out(mounting_lanes, "full disk", 0, 100, 300, 700, 1400)
    assert all(outcome.refused for outcome in outcomes)
    assert outcomes[0].acknowledged == 0
    assert 0 < outcomes[-1].acknowledged < len(SIZES)


def test_with_little_room_left_nothing_is_even_begun(mounting_lanes: Lanes) -> None:
    (outcome,) = carried_out(mounting_lanes, "full disk", -4096)
    assert (outcome.acknowledged, outcome.refused) == (0, len(SIZES))


def test_a_disk_without_inodes_refuses_and_goes_on_when_there_are_some(mounting_lanes: Lanes) -> None:
    none, one = carried_out(mounting_lanes, "no inodes", 0, 1)
    assert none.refused > 0
    assert one.acknowledged > none.acknowledged


def test_a_disk_that_turns_read_only_amid_reception_loses_nothing(mounting_lanes: Lanes) -> None:
    """Before the first image, between two, and after the last."""
    for outcome in carried_out(mounting_lanes, "read-only", 0, 2, 4, len(SIZES)):
        assert outcome.acknowledged >= outcome.plan.at
        assert outcome.refused > 0 or outcome.acknowledged == len(SIZES) or outcome.notes == ["ended 1"]
