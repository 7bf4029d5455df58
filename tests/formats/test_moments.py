"""Times with their offset for programs, and without it for people."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from appliance.formats.moments import shown, written

SUMMER, WINTER = 1_784_000_000, 1_796_066_465  # 14 July and 30 November 2026


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("zone", "at", "program", "person"),
    [
        ("Europe/Berlin", WINTER, "2026-11-30T20:21:05+01:00", "2026-11-30 20:21:05"),
        ("Europe/Berlin", SUMMER, "2026-07-14T05:33:20+02:00", "2026-07-14 05:33:20"),
        ("UTC", WINTER, "2026-11-30T19:21:05+00:00", "2026-11-30 19:21:05"),
        ("America/St_Johns", WINTER, "2026-11-30T15:51:05-03:30", "2026-11-30 15:51:05"),
        ("Asia/Kathmandu", WINTER + 0.999, "2026-12-01T01:06:05+05:45", "2026-12-01 01:06:05"),
    ],
    indirect=["zone"],
)
def test_programs_get_the_offset_and_people_the_clock_on_the_wall(
    zone: str, at: float, program: str, person: str
) -> None:
    assert written(at) == program
    assert shown(program) == person


@pytest.mark.parametrize("zone", ["Europe/Berlin"], indirect=True)
def test_the_hour_that_comes_twice_in_autumn_is_two_hours_for_programs(zone: str) -> None:
    once, again = written(1_792_888_200), written(1_792_888_200 + 3600)  # 25 October 2026, 02:30 and 02:30
    assert shown(once) == shown(again)
    assert (once[-6:], again[-6:]) == ("+02:00", "+01:00")


@pytest.mark.parametrize("zone", ["Asia/Tokyo"], indirect=True)
def test_people_read_the_time_where_the_box_stands_wherever_they_are(zone: str) -> None:
    assert shown("2026-11-30T20:21:05+01:00") == "2026-11-30 20:21:05"


def test_what_has_not_happened_has_no_time() -> None:
    assert shown("") == ""
