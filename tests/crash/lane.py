"""Carries out experiments one after the other: plans come as lines of JSON, outcomes go back so.

One process of one thread, because it forks boxes; several of it side by side use the time that each spends waiting.
python -m tests.crash.lane FOLDER ENROLMENT
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.crash import disks, experiments
from tests.crash.life import House, warm_up
from tests.crash.plan import Outcome, Plan

Experiment = Callable[[House, Outcome], Coroutine[Any, Any, None]]
EXPERIMENTS: dict[str, Experiment] = {
    "kill": experiments.kill,
    "kill the start": experiments.kill_start,
    "fail": experiments.fail,
    "fail later": experiments.fail_later,
    "fail a sync": experiments.fail_sync,
    "fill": experiments.fill,
    "full disk": disks.full,
    "filled so far": disks.filled_so_far,
    "no inodes": disks.no_inodes,
    "read-only": disks.read_only,
}


def carry_out(plan: Plan, folder: Path, enrolment: Path) -> Outcome:
    outcome = Outcome(plan)
    house = House(folder, enrolment)
    try:
        asyncio.run(EXPERIMENTS[plan.kind](house, outcome))
    except BaseException as error:  # noqa: BLE001 - all of it is the outcome
        log = house.log.read_text() if house.log.exists() else ""
        outcome.problem = "".join(traceback.format_exception(error))[-2500:] + "\n-- the box said\n" + log[-2000:]
    else:
        shutil.rmtree(folder)
    return outcome


def main() -> None:
    folder, enrolment = Path(sys.argv[1]), Path(sys.argv[2])
    warm_up()
    for number, line in enumerate(sys.stdin):
        outcome = carry_out(Plan(**json.loads(line)), folder / f"{os.getpid()}-{number}", enrolment)
        print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    main()
