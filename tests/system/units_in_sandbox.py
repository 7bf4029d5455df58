"""Runs in place of a unit's program, in its sandbox: tries what must not work, writes what happened, then behaves.

Started by units_in_guest.py through a copy of the unit whose ExecStart= is this file. Standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH = 16
CLONE_NEWUSER = 0x10000000
ELSEWHERE = ("10.9.9.9", 9)  # an address of this machine that is not the loopback's; nobody listens


def tried(attempt: Callable[[], object]) -> str:
    """'done', or the name of the error."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "done"


def syscall(name: str, *arguments: object) -> None:
    if getattr(LIBC, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def touch(path: str) -> Callable[[], object]:
    def make_and_remove() -> None:
        Path(path).touch()
        Path(path).unlink()

    return make_and_remove


def bind(port: int) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))


def connect_elsewhere() -> None:
    with socket.socket() as caller:
        caller.settimeout(2)
        caller.connect(ELSEWHERE)


def run_memory() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def trace_a_child() -> None:
    # Its own child, which anyone may trace: whatever refuses is the sandbox. (PID 1 would stop, and all with it.)
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        try:
            syscall("ptrace", PTRACE_ATTACH, child.pid, None, None)
        finally:
            child.kill()


def credential(name: str) -> str:
    path = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nowhere"), name)
    return path.read_text() if path.exists() else ""


def attempts() -> dict[str, str]:
    state = os.environ["STATE_DIRECTORY"]
    return {
        "write to the state folder": tried(touch(f"{state}/x")),
        "write to the runtime folder": tried(touch(f"{os.environ['RUNTIME_DIRECTORY']}/x")),
        "read /etc/shadow": tried(Path("/etc/shadow").read_bytes),
        "read /root": tried(lambda: list(Path("/root").iterdir())),
        "write to /usr": tried(touch("/usr/x")),
        "write to /etc": tried(touch("/etc/slipway/x")),
        "write to /opt": tried(touch("/opt/x")),
        "write to /var/lib": tried(touch("/var/lib/x")),
        "write to /proc/sys": tried(lambda: Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("104")),
        "see the spool": tried(lambda: list(Path("/var/lib/slipway").iterdir())),
        "see the settings": tried(lambda: list(Path("/etc/slipway").iterdir())),
        "see PID 1": tried(lambda: Path("/proc/1/stat").read_bytes()),
        "ptrace": tried(trace_a_child),
        "become root": tried(lambda: os.setuid(0)),
        "mount": tried(lambda: syscall("mount", b"none", b"/tmp", b"tmpfs", 0, None)),
        "make a device node": tried(lambda: os.mknod(f"{state}/null", 0o20666, os.makedev(1, 3))),
        "set-uid file": tried(lambda: os.chmod(state, 0o4700)),  # noqa: PTH101
        "run memory that was written": tried(run_memory),
        "set the clock": tried(lambda: time.clock_settime(time.CLOCK_REALTIME, time.time())),
        "packet socket": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()),
        "raw socket": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()),
        "netlink socket": tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15).close()),
        "listen on port 104": tried(lambda: bind(104)),
        "listen on port 80": tried(lambda: bind(80)),
        "connect elsewhere": tried(connect_elsewhere),
        # Last: where it succeeds, the process has lost what it could do outside.
        "unshare a user namespace": tried(lambda: syscall("unshare", CLONE_NEWUSER)),
    }


def facts() -> dict[str, str]:
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    return {
        "capabilities": "".join(status[name].strip("0") for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")),
        "no new privileges": status["NoNewPrivs"],
        "seccomp": status["Seccomp"],
        "core limit": str(resource.getrlimit(resource.RLIMIT_CORE)),
        "umask": status["Umask"],
        "credential": credential("spool.key"),
        "state mode": oct(Path(os.environ["STATE_DIRECTORY"]).stat().st_mode & 0o777),
    }


def notify(state: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(state.encode(), os.environ["NOTIFY_SOCKET"])


def main() -> None:
    report = Path(os.environ["STATE_DIRECTORY"], "report.json")
    report.write_text(json.dumps({"attempts": attempts(), "facts": facts()}))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    notify("READY=1")
    while True:
        notify("WATCHDOG=1")
        time.sleep(0.5)


main()
