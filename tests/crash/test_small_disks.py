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
    """With more and more KiB left beside the first spool file, whose blocks are there already."""
    outcomes = carried_out(mounting_lanes, "full disk", 0, 100, 300, 700, 1400)
    assert all(outcome.refused for outcome in outcomes)
    assert any(0 < outcome.acknowledged < len(SIZES) for outcome in outcomes)


def test_with_little_room_left_nothing_is_even_begun(mounting_lanes: Lanes) -> None:
    (outcome,) = carried_out(mounting_lanes, "filled so far", 4096)
    assert (outcome.acknowledged, outcome.refused) == (0, len(SIZES))


def test_a_disk_without_inodes_refuses_and_goes_on_when_there_are_some(mounting_lanes: Lanes) -> None:
    none, one = carried_out(mounting_lanes, "no inodes", 0, 1)
    assert none.refused > 0
    assert one.acknowledged > none.acknowledged


def test_a_disk_that_turns_read_only_amid_reception_loses_nothing(mounting_lanes: Lanes) -> None:
    """Before the first image, between two, and after the last."""
    outcomes = carried_out(mounting_lanes, "read-only", 0, 2, 4, len(SIZES))
    assert [outcome.acknowledged for outcome in outcomes] == [0, 2, 4, len(SIZES)]
    assert any(outcome.refused for outcome in outcomes)
