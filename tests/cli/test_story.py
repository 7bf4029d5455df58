"""How `slipway shares show` looks."""

from __future__ import annotations

from typing import Any

from appliance.cli.story import WIDTH, head_lines, story_lines

SHARE: dict[str, Any] = {
    "id": "1a2b3c4d",
    "state": "open",
    "patient": "A.R. 1970",
    "profile": "SHARE",
    "images": 530,
    "at_vault": 530,
    "slips": [{"number": "S-00042", "state": "printed", "copy": 1}],
    "links": [{"pin": ""}],
    "story": [
        {"at": "2026-11-21T09:12:03+01:00", "what": "CT1 sent the first of 530 images; share opened."},
        {"at": "2026-11-21T09:12:04+01:00", "what": "Slip S-00042 printed; the patient opens it with the birth date."},
        {"at": "2026-11-22T10:02:11+01:00", "what": "anna extended it by 7 days, until 29 Nov 10:02."},
    ],
    "now": "All 530 images are here. " + "The patient opens it with the birth date until 29 Nov 10:02. " * 3,
}


def test_each_day_has_a_line_and_each_event_its_time() -> None:
    assert story_lines(SHARE)[:6] == [
        "  What happened:",
        "    Saturday 21 November 2026",
        "      09:12:03  CT1 sent the first of 530 images; share opened.",
        "      09:12:04  Slip S-00042 printed; the patient opens it with the birth date.",
        "    Sunday 22 November 2026",
        "      10:02:11  anna extended it by 7 days, until 29 Nov 10:02.",
    ]


def test_how_it_stands_comes_last_and_fits_the_terminal() -> None:
    now = story_lines(SHARE)[6:]
    assert now[0].startswith("  Now: All 530 images are here. The patient")
    assert len(now) > 1
    assert all(len(line) <= WIDTH for line in now)


def test_a_pin_is_shown_for_staff_to_tell() -> None:
    assert "  PIN 123456, to be told to the patient" in head_lines(SHARE | {"links": [{"pin": "123456"}]})
