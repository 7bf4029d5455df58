"""Promise 1 against power loss: what was acknowledged is on the disk, whole, and the journal agrees with the paper.

In a kernel of its own (User-Mode Linux), so that the disk can really lose what it was not made to keep.
"""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.power.uml import KERNEL, run_guest

pytestmark = [
    pytest.mark.skipif(
        platform.machine() != "x86_64" or not shutil.which(KERNEL), reason="Debian has user-mode-linux for x86_64 only"
    ),
    pytest.mark.alone,
]

SEED = int(os.environ.get("SLIPWAY_SEED", random.SystemRandom().randrange(1 << 30)))  # printed when something breaks
BOOT_S = 60.0  # kernel, imports, vault, and the last disk that has to settle

CUTS, CUTS_WITHIN_S = 40, 60.0
STATES, STATES_WITHIN_S = 200, 40.0
LONG_CUTS, LONG_CUTS_WITHIN_S = 2000, 360.0
LONG_STATES, LONG_STATES_WITHIN_S = 2000, 200.0


def cut(folder: Path, cuts: int, within_s: float) -> dict[str, Any]:
    """Random moments, dropped writes, the whole box."""
    report = run_guest(
        folder / "guest", "cuts", str(cuts), str(SEED), f"{within_s:g}", disks=1, limit_s=within_s + 2 * BOOT_S
    )
    return said(report)


def replay(folder: Path, case: str, states: int, within_s: float, session_s: float) -> dict[str, Any]:
    """Every flush of a recorded session, with what a disk may have kept beyond it."""
    words = (case, str(states), str(SEED), f"{within_s:g}", f"{session_s:g}")
    return said(run_guest(folder / "guest", *words, disks=4, limit_s=within_s + session_s + 2 * BOOT_S))


def said(report: dict[str, Any]) -> dict[str, Any]:
    print(f"power loss, SLIPWAY_SEED={SEED}: {json.dumps(report)}")
    assert not report["problems"]
    assert report["acknowledged"] > 0
    return report


@pytest.mark.timeout(300)
def test_the_box_loses_nothing_acknowledged_when_its_power_is_cut_at_any_moment(tmp_path: Path) -> None:
    report = cut(tmp_path, CUTS, CUTS_WITHIN_S)
    assert report["cuts"] >= CUTS / 8  # a busy machine manages fewer in the time
    assert report["slips"] > 0


@pytest.mark.timeout(300)
def test_reception_loses_nothing_whatever_the_disk_kept_of_what_was_not_flushed(tmp_path: Path) -> None:
    report = replay(tmp_path, "reception", STATES, STATES_WITHIN_S, 4)
    assert report["states"] >= STATES / 8


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_thousand_power_cuts(tmp_path: Path) -> None:
    assert cut(tmp_path, LONG_CUTS, LONG_CUTS_WITHIN_S)["cuts"] >= LONG_CUTS / 40  # a busy machine takes 4 s for each


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("case", "session_s"), [("reception", 20.0), ("box", 30.0)])
def test_two_thousand_disks_that_a_power_cut_could_have_left(tmp_path: Path, case: str, session_s: float) -> None:
    report = replay(tmp_path, case, LONG_STATES, LONG_STATES_WITHIN_S, session_s)
    assert report["states"] >= LONG_STATES / 10
