"""What runs inside the guest: python -m tests.power.guest CASE ARGUMENT…, with the report to /run/host/report.json."""

from __future__ import annotations

import faulthandler
import json
import sys
import time
from pathlib import Path

from tests.power import cuts, replays

REPORT = Path("/run/host/report.json")
SLACK_S = 60.0  # then it hangs: where, is what the report will be
DISKS = ["/dev/ubdb", "/dev/ubdc", "/dev/ubdd", "/dev/ubde"]


def main(case: str, count: str, seed: str, limit_s: str, session_s: str = "0") -> None:
    faulthandler.dump_traceback_later(float(limit_s) + float(session_s) + SLACK_S, exit=True)
    started = time.monotonic()
    if case == "cuts":
        report = cuts.run(DISKS[0], int(count), int(seed), float(limit_s))
    else:
        report = replays.run(DISKS, case, int(count), int(seed), float(session_s), float(limit_s))
    report["seconds"] = round(time.monotonic() - started, 1)
    REPORT.write_text(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
