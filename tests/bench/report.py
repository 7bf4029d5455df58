"""Runs to tables: medians, spreads, ratios and goals, as plain text or as docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

FREE, SEVERAL, UNCHANGED = "low-overhead sender", "four associations at once", "unchanged sender"
OURS = "slipway"

# How many times as fast as each the box wants to be (docs: the goals are ratios within one interleaved run).
GOALS = {
    (FREE, "ct"): {"storescp +B 128K": 1.0, "storescp": 1.5, "Orthanc": 8.0},
    (FREE, "mg"): {"storescp +B 128K": 1.0, "storescp": 1.5, "Orthanc": 4.0},
    (FREE, "small"): {"storescp +B 128K": 1.0, "storescp": 2.5, "Orthanc": 15.0},
    (SEVERAL, "ct"): {"storescp --fork +B 128K": 1.0, "storescp --fork": 1.5, "Orthanc": 8.0},
    (SEVERAL, "mg"): {"storescp --fork +B 128K": 1.0, "storescp --fork": 1.5, "Orthanc": 4.0},
    (SEVERAL, "small"): {"storescp --fork +B 128K": 1.0, "storescp --fork": 2.5, "Orthanc": 15.0},
    (UNCHANGED, "ct"): {"storescp": 15.0},
    (UNCHANGED, "small"): {"storescp": 15.0},
}
CPU_OF_ORTHANC_MAX = 1 / 8
PEAK_MB_MAX = 128

TITLES = {"ct": "CT", "mg": "MG and DX", "small": "small MR"}


@dataclass(frozen=True)
class Run:
    """One load sent once to one receiver."""

    receiver: str
    block: str
    load: str
    number: int  # of the round
    seconds: float
    size: int  # bytes of datasets
    cpu_s: float
    peak_mb: float
    problem: str  # "" when every instance was acknowledged with 0000


@dataclass(frozen=True)
class Spread:
    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def show(self) -> str:
        """Three digits that mean something, whatever the size."""
        digits = 0 if self.least >= 100 else 1 if self.least >= 10 else 2 if self.least >= 1 else 3
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}–{self.most:.{digits}f})"


Table = list[list[str]]


def speeds(runs: Sequence[Run]) -> Table:
    """One row a receiver: seconds, MB/s, CPU, memory; of the complete runs only."""
    rows = [["receiver", "seconds", "MB/s", "CPU s/GB", "peak MB", "runs"]]
    for receiver in dict.fromkeys(run.receiver for run in sorted(runs, key=lambda run: run.receiver != OURS)):
        of = [run for run in runs if run.receiver == receiver]
        good = [run for run in of if not run.problem]
        if not good:
            rows.append([receiver, of[0].problem, "", "", "", f"0 of {len(of)}"])
            continue
        rates = Spread.of([run.size / run.seconds / 1e6 for run in good])
        cpu = statistics.median(run.cpu_s / run.size * 1e9 for run in good)
        peak = max(run.peak_mb for run in good)
        seconds = Spread.of([run.seconds for run in good])
        rows.append([receiver, seconds.show(), rates.show(), f"{cpu:.2f}", f"{peak:.0f}", f"{len(good)} of {len(of)}"])
    return rows


def ratios(runs: Sequence[Run], goals: Mapping[str, float]) -> Table:
    """How many times as fast as each other the box was, round by round."""
    ours = {run.number: run for run in runs if run.receiver == OURS and not run.problem}
    rows = [[f"{OURS} against", "times as fast", "goal", "met"]]
    for receiver in dict.fromkeys(run.receiver for run in runs if run.receiver != OURS):
        theirs = {run.number: run for run in runs if run.receiver == receiver and not run.problem}
        shared = sorted(ours.keys() & theirs.keys())
        if not shared:
            continue
        spread = Spread.of([theirs[number].seconds / ours[number].seconds for number in shared])
        goal = goals.get(receiver)
        verdict = "" if goal is None else "yes" if spread.median >= goal else "no"
        rows.append([receiver, spread.show(), "" if goal is None else f"≥ {goal:g}", verdict])
    return rows


def frugality(runs: Sequence[Run]) -> Table:
    """The goals that are not about speed."""
    rows = [["what", "measured", "goal", "met"]]
    ours = [run for run in runs if run.receiver == OURS and not run.problem]
    orthanc = [run for run in runs if run.receiver == "Orthanc" and not run.problem]
    if not ours:
        return rows
    peak = max(run.peak_mb for run in ours)
    rows.append(["peak memory, MB", f"{peak:.0f}", f"< {PEAK_MB_MAX}", "yes" if peak < PEAK_MB_MAX else "no"])
    if orthanc:
        part = statistics.median(run.cpu_s for run in ours) / statistics.median(run.cpu_s for run in orthanc)
        met = "yes" if part <= CPU_OF_ORTHANC_MAX else "no"
        rows.append(["CPU of Orthanc's", f"{part:.3f}", f"≤ {CPU_OF_ORTHANC_MAX:g}", met])
    return rows


def sections(runs: Sequence[Run]) -> Iterator[tuple[str, Table]]:
    for block, load in dict.fromkeys((run.block, run.load) for run in runs):
        of = [run for run in runs if (run.block, run.load) == (block, load)]
        count = f"{of[0].size / 1e6:.0f} MB"
        yield f"{TITLES[load]}, {count}, {block}", speeds(of)
        for table in (ratios(of, GOALS.get((block, load), {})), frugality(of) if block != UNCHANGED else []):
            if len(table) > 1:
                yield "", table


def text(runs: Sequence[Run], left_out: Mapping[str, str], conditions: Sequence[str] = ()) -> str:
    lines = list(conditions)
    for title, table in sections(runs):
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        lines += ["", title] if title else [""]
        lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    return "\n".join([*lines, "", *(f"left out: {reason}" for reason in left_out.values())]).strip()


def markdown(runs: Sequence[Run], left_out: Mapping[str, str], conditions: Sequence[str] = ()) -> str:
    rounds = 1 + max((run.number for run in runs), default=0)
    lines = [
        "# Receivers side by side",
        "",
        *INTRODUCTION,
        "",
        *(f"- {fact}" for fact in [*machine(), *conditions, f"rounds: {rounds}"]),
        "",
    ]
    for title, table in sections(runs):
        lines += [f"## {title}", ""] if title else []
        header, *rows = ([cell.replace("|", "/") for cell in row] for row in table)
        lines += [row_of(header), row_of(["---"] * len(header)), *map(row_of, rows), ""]
    lines += [f"Left out: {reason}" for reason in left_out.values()]
    return "\n".join(lines).rstrip()


def row_of(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


INTRODUCTION = [
    "Written by `.venv/bin/python -m tests.bench.receivers --markdown`; `make bench` prints the same as text. Each",
    "receiver runs in its own process on loopback with an empty folder, started anew for each load, in an order that",
    "rotates from round to round. One association or four, each with one C-STORE at a time, answered with 0000 before",
    "the next. storescp takes one association at a time; for four it starts a process for each (`--fork`).",
    "Slipway encrypts, and makes each instance durable before it answers, with its vault out of reach. Orthanc keeps",
    "its defaults; storescp and pynetdicom write plain files and do not sync. Figures are medians, with the least and",
    "the most in brackets. Machines are noisy: compare ratios, which are taken within one round.",
    "",
    "The low-overhead sender has its requests built beforehand and Nagle's algorithm off, at the receivers too. The",
    "unchanged sender is DCMTK's `dcmsend` as installed, which leaves it on; so do the receivers there.",
]


def machine() -> list[str]:
    facts = {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "file system": said(["findmnt", "-no", "FSTYPE", "-T", str(Path(__file__).parent)]),
        "Python": platform.python_version(),
        "DCMTK": said(["storescp", "--version"]).strip("$ ").removeprefix("dcmtk: storescp "),
        "Orthanc": said(["Orthanc", "--version"]).removeprefix("Orthanc "),
        **{package: version(package) for package in ("pynetdicom", "pydicom", "cryptography")},
        "slipway": said(["git", "log", "-1", "--format=%h of %cs"]),
    }
    return [f"{name}: {fact}" for name, fact in facts.items() if fact]


def processor() -> str:
    rows = Path("/proc/cpuinfo").read_text().splitlines()
    return next((row.partition(":")[2].strip() for row in rows if row.startswith("model name")), platform.machine())


def said(command: list[str]) -> str:
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    except OSError:
        return ""
    return output.strip().splitlines()[0] if output.strip() else ""
