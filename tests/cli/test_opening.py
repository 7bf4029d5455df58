"""What `slipway open` says when it has written a share's images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.cli.opening import told

TO = Path("images")
ALL = {
    "state": "complete",
    "source": "530 of 530 images, checked with the PACS",
    "verdict": {"source": "query", "received": 530, "expected": 530, "missing": 0},
    "received": 530,
    "written": 530,
}


def said(**changes: Any) -> list[str]:
    return told(ALL | changes, TO)


def test_it_says_by_whose_word_that_is_all() -> None:
    assert said() == [
        "530 image(s) in images, each verified; the share is complete.",
        "  530 of 530 images, checked with the PACS.",
    ]


def test_missing_images_are_a_warning_that_says_how_many_and_what_to_do() -> None:
    lines = said(state="quiet", verdict={"source": "query", "received": 528, "expected": 530, "missing": 2})
    assert lines[2] == "WARNING: 2 of 530 image(s) have not reached the box: this is not the whole study."
    assert "imaging department" in lines[3]


def test_images_that_are_on_their_way_are_no_warning() -> None:
    lines = said(state="arriving", source="", verdict=None, written=500)
    assert lines[1:] == ["  30 more are on their way to the vault: open again later."]


def test_an_unchecked_share_says_so_without_a_warning() -> None:
    lines = said(
        source="no more images for 30 s; not checked",
        verdict={"source": "quiet", "received": 530, "expected": 0, "missing": 0},
    )
    assert lines[1:] == ["  No more images for 30 s; not checked."]


def test_a_hostile_slip_cannot_write_to_the_terminal() -> None:
    assert not any("\x1b" in line or "\n" in line for line in said(state="\x1b[2J\n", source="\x1b]0;x\x07" * 99))
