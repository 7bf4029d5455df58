"""Receivers side by side on loopback, in interleaved rounds: python -m tests.bench.receivers (make bench).

Two questions: how fast is each with a sender that costs nothing, and how fast with a sender as hospitals have it,
which leaves Nagle's algorithm on. Machines are noisy and differ, so what counts are ratios within one round.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.bench import disk, report
from tests.bench.loads import NAMES, load
from tests.bench.peers import FOLDERS, NODELAY, PEERS, PEERS_OF_SEVERAL, NotStartedError, Peer, Running, installed
from tests.bench.report import Run

QUICK = {"ct": 100, "mg": 2, "small": 300}
UNCHANGED = {"ct": 120, "small": 120}  # instances; 40 ms are lost on each, so more would teach nothing
UNCHANGED_ROUNDS_MAX = 3
ASSOCIATIONS = 4  # at once, in the block of several
SEND_S = 180  # for one load; the slowest takes 20 s
SETTLE_S = 0.3  # after the disk has been told to finish

IDLE_MAX = 0.3  # load average above which somebody else is at work
NOT_IDLE = " (the machine was not idle: those that wait for the disk lose the most by it; measure again)"

_SENT = re.compile(r"with status SUCCESS\s*: (\d+)")

Sending = Callable[[Running], tuple[float, int, str]]  # seconds, acknowledged instances, problem


def low_overhead(name: str, first: int | None, associations: int = 1) -> Sending:
    """Our own sender, in its own process."""

    def send(running: Running) -> tuple[float, int, str]:
        command = [sys.executable, "-m", "tests.bench.sender", name, str(running.port), "--called", running.peer.called]
        command += ["--associations", str(associations), *(["--first", str(first)] if first else [])]
        # The library that makes the loads' noise would keep threads spinning, on the cores that the receiver needs.
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=SEND_S, check=False, env=environment)
        if not done.stdout:
            return 0, 0, "the sender failed"
        answer = json.loads(done.stdout)
        return answer["seconds"], answer["acknowledged"], " ".join(answer["problems"])

    return send


def unchanged_dcmsend(name: str) -> Sending:
    """DCMTK's sender as installed: no environment, no options but the address."""
    files = [instance.path for instance in load(name).first(UNCHANGED[name]).instances]
    environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}

    def send(running: Running) -> tuple[float, int, str]:
        transcript = running.folder / "dcmsend.txt"
        options = ["-aec", running.peer.called, "+crf", str(transcript)]
        command = ["dcmsend", *options, "127.0.0.1", str(running.port), *files]
        started = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, timeout=SEND_S, check=False)
        seconds = time.perf_counter() - started
        found = _SENT.search(transcript.read_text()) if transcript.exists() else None
        return seconds, int(found[1]) if found else 0, "" if found else done.stderr.decode(errors="replace")[-200:]

    return send


class Bench:
    """All runs of one session; a receiver that fails to start once is left out from then on."""

    def __init__(self, limit_s: float, say: Callable[[str], None]) -> None:
        self.runs: list[Run] = []
        self.left_out: dict[str, str] = {}
        self._until = time.monotonic() + limit_s
        self._say = say

    def measure(self, block: str, name: str, count: int, number: int, send: Sending, *, nodelay: bool) -> None:
        """One round of one load: each receiver once, and each in another place than in the round before."""
        size = load(name).first(count).dataset_bytes
        for peer in self._rotated(number, PEERS_OF_SEVERAL if block == report.SEVERAL else PEERS):
            if time.monotonic() > self._until:
                self._say("the time is up; the rest is left out")
                return
            try:
                run = self._once(peer, block, name, number, send, size, count, nodelay=nodelay)
            except NotStartedError as error:
                self.left_out[peer.name] = str(error)
                self._say(f"left out: {error}")
                continue
            self.runs.append(run)
            self._say(f"{block} {name} round {number + 1}: {run.receiver} {run.seconds:.2f} s {run.problem}")

    def _rotated(self, number: int, peers: Sequence[Peer]) -> Iterator[Peer]:
        for place in range(len(peers)):
            peer = peers[(place + number) % len(peers)]
            if not installed(peer):
                self.left_out.setdefault(peer.name, f"{peer.program} is not installed")
            if peer.name not in self.left_out:
                yield peer

    def _once(
        self, peer: Peer, block: str, name: str, number: int, send: Sending, size: int, count: int, *, nodelay: bool
    ) -> Run:
        os.sync()  # so that nobody pays for the pages that the one before left to be written
        with Running(peer, NODELAY if nodelay else {}) as running:
            os.sync()  # nobody pays for what another receiver left for the disk to write
            time.sleep(SETTLE_S)
            before = running.cost()
            try:
                seconds, acknowledged, problem = send(running)
            except subprocess.TimeoutExpired:
                seconds, acknowledged, problem = 0, 0, f"not done after {SEND_S} s"
            after = running.cost()
        if not problem and acknowledged != count:
            problem = f"{count - acknowledged} instances were not acknowledged"
        return Run(
            peer.name, block, name, number, seconds, size, after.cpu_s - before.cpu_s, after.peak_mb, problem.strip()
        )


def run_all(asked: argparse.Namespace, names: Sequence[str], bench: Bench) -> None:
    for number in range(asked.rounds):
        for name in names:
            first = QUICK[name] if asked.quick else None
            count = len(load(name).first(first).instances)
            bench.measure(report.FREE, name, count, number, low_overhead(name, first), nodelay=True)
            several = low_overhead(name, first, ASSOCIATIONS)
            bench.measure(report.SEVERAL, name, count, number, several, nodelay=True)
    for number in range(min(asked.rounds, UNCHANGED_ROUNDS_MAX)):
        for name in names:
            if name in UNCHANGED:
                send = unchanged_dcmsend(name)
                bench.measure(report.UNCHANGED, name, UNCHANGED[name], number, send, nodelay=False)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small parts of the loads, two rounds")
    parser.add_argument("--rounds", type=int, default=None, help="default 5")
    parser.add_argument("--loads", default=",".join(NAMES), help="of ct,mg,small")
    parser.add_argument("--limit", type=float, default=1800, help="seconds after which no run is begun")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="every run")
    form.add_argument("--markdown", action="store_true", help="docs/benchmarks.md")
    asked = parser.parse_args()
    asked.rounds = asked.rounds or (2 if asked.quick else 5)
    if unknown := set(asked.loads.split(",")) - set(NAMES):
        parser.error(f"no such load: {', '.join(sorted(unknown))}")
    return asked


def main() -> int:
    asked = parse()
    names = asked.loads.split(",")
    # Both from before the first run: what follows would not be the machine's own.
    busy = os.getloadavg()[0]
    conditions = [f"load average before: {busy:.2f}{NOT_IDLE if busy > IDLE_MAX else ''}", *disk.floor(FOLDERS)]
    bench = Bench(asked.limit, lambda line: print(line, file=sys.stderr, flush=True))
    run_all(asked, names, bench)
    if asked.json:
        runs = [asdict(run) for run in bench.runs]
        print(json.dumps({"runs": runs, "left_out": bench.left_out, "conditions": conditions}))
    else:
        show = report.markdown if asked.markdown else report.text
        print(show(bench.runs, bench.left_out, conditions))
    return 1 if any(run.problem for run in bench.runs) or not bench.runs else 0


if __name__ == "__main__":
    os.chdir(Path(__file__).parent.parent.parent)  # the sender is run as a module of this repository
    sys.exit(main())
