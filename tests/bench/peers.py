"""The receivers that are compared: how each is started as its makers meant, and what it costs while it runs.

Each gets its own process, an empty folder and a free port on loopback. Only processes started here are ended.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.system.harness import free_port

REPOSITORY = Path(__file__).parent.parent.parent
FOLDERS = REPOSITORY / "build/bench"
START_S = 30
STOP_S = 15
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

NODELAY = {"TCP_NODELAY": "1"}  # what DCMTK and Orthanc read, to leave Nagle's algorithm off


@dataclass(frozen=True)
class Peer:
    """One receiver; `command` may write its settings into the folder it is given."""

    name: str
    called: str  # AE title
    program: str  # that must be installed
    command: Callable[[Path, int], list[str]]


@dataclass(frozen=True)
class Cost:
    cpu_s: float
    peak_mb: float


class NotStartedError(Exception):
    """A receiver that is installed but did not listen."""


def storescp(folder: Path, port: int) -> list[str]:
    return ["storescp", "-od", str(folder), str(port)]


def storescp_fast(folder: Path, port: int) -> list[str]:
    return ["storescp", "-od", str(folder), "+B", "-pdu", "131072", str(port)]


def forked(command: Callable[[Path, int], list[str]]) -> Callable[[Path, int], list[str]]:
    """storescp takes one association at a time, unless it starts a process for each."""
    return lambda folder, port: [*command(folder, port)[:-1], "--fork", str(port)]


def orthanc(folder: Path, port: int) -> list[str]:
    """Orthanc's defaults, with its HTTP server off and its folders moved."""
    settings = {
        "DicomPort": port,
        "HttpServerEnabled": False,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [],
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    return ["Orthanc", str(path)]


def pynetdicom(folder: Path, port: int) -> list[str]:
    address = ["-ba", "127.0.0.1"]
    return [sys.executable, "-m", "pynetdicom", "storescp", "-od", str(folder), *address, str(port)]


def slipway(folder: Path, port: int) -> list[str]:
    """The box with its vault out of reach: reception has to stand on its own."""
    (folder / "spool").mkdir()
    path = folder / "slipway.toml"
    path.write_text(f"""
[site]
name = "Benchmark"

[dicom]
listen = ["127.0.0.1:{port}"]
unknown_peers = "accept"

[[profile]]
ae_title = "SHARE"
second_factor = "birth-date"

[printer]
device = "none"

[vault]
url = "http://127.0.0.1:1"

[spool]
path = "{folder / "spool"}"
""")
    return [str(Path(sys.executable).with_name("slipway")), "run", "--config", str(path)]


SLIPWAY = Peer("slipway", "SHARE", str(Path(sys.executable).with_name("slipway")), slipway)
STORESCP = Peer("storescp", "ANY-SCP", "storescp", storescp)
STORESCP_FAST = Peer("storescp +B 128K", "ANY-SCP", "storescp", storescp_fast)
ORTHANC = Peer("Orthanc", "ORTHANC", "Orthanc", orthanc)
PYNETDICOM = Peer("pynetdicom storescp", "STORESCP", sys.executable, pynetdicom)
PEERS = (SLIPWAY, STORESCP, STORESCP_FAST, ORTHANC, PYNETDICOM)
PEERS_OF_SEVERAL = (
    SLIPWAY,
    Peer("storescp --fork", "ANY-SCP", "storescp", forked(storescp)),
    Peer("storescp --fork +B 128K", "ANY-SCP", "storescp", forked(storescp_fast)),
    ORTHANC,
    PYNETDICOM,
)  # for more than one association at a time


def installed(peer: Peer) -> bool:
    return shutil.which(peer.program) is not None


class Running:
    """A started receiver; a context manager that ends it and removes its folder."""

    def __init__(self, peer: Peer, environment: Mapping[str, str]) -> None:
        self.peer = peer
        self.port = free_port()
        self.folder = FOLDERS / f"{peer.name.replace(' ', '-')}.{os.getpid()}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._log = (self.folder / "receiver.log").open("wb")
        own = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
        self.process = subprocess.Popen(
            peer.command(self.folder, self.port),
            cwd=self.folder,
            env=own | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Running:
        try:
            self._wait_until_listening()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_S)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # its own session: whatever it started and left
        self.process.wait(STOP_S)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_until_listening(self) -> None:
        """Without connecting: some receivers would count the visit as an association."""
        until = time.monotonic() + START_S
        while not listens(self.port):
            if self.process.poll() is not None or time.monotonic() > until:
                raise NotStartedError(f"{self.peer.name} does not listen; its last words: {self.last_words()}")
            time.sleep(0.02)

    def last_words(self) -> str:
        lines = (self.folder / "receiver.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "none"

    def cost(self) -> Cost:
        """CPU time of the receiver and of all it started, living and dead, so far; peak memory of the living."""
        pids = [self.process.pid, *descendants(self.process.pid)]
        return Cost(sum(map(cpu_seconds, pids)), sum(map(peak_megabytes, pids)))


def listens(port: int) -> bool:
    """proc(5): state 0A is LISTEN; the port is in hexadecimal."""
    rows = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    return any(
        f":{port:04X} " in row and row.split()[3] == "0A" for row in rows.splitlines()[1:] if f":{port:04X}" in row
    )


def descendants(pid: int) -> list[int]:
    children = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += [int(child) for child in (task / "children").read_text().split()]
    return children + [pid for child in children for pid in descendants(child)]


def cpu_seconds(pid: int) -> float:
    """Of all its threads, to the nanosecond, and of the children it waited for, to the tick (proc(5))."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return time.clock_gettime(process_clock(pid)) + sum(int(ticks) for ticks in fields[13:15]) / TICKS_PER_S
    return 0.0


def process_clock(pid: int) -> int:
    """What clock_getcpuclockid(3) returns for another process, which Python does not offer."""
    scheduler_clock = 2
    return ~pid << 3 | scheduler_clock


def peak_megabytes(pid: int) -> float:
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    return 0.0
