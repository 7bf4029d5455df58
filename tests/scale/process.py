"""What a running process uses, as the kernel counts it."""

from __future__ import annotations

import re
from pathlib import Path

MB = 10**6


def most_resident(pid: int) -> int:
    """Bytes; VmHWM, the most that ever were in memory at once."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def cpu_s(pid: int) -> float:
    """Seconds on a core. Not from /proc/PID/stat: what runs between two ticks of the clock is not counted there."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
