"""Starts a guest under User-Mode Linux: another kernel as a plain process, whose disks can be cut off.

Sees this machine's files read-only, has a memory of its own for everything else, and says what it found as one line
of JSON. Wants no privilege beyond what a container's root has.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KERNEL = "linux.uml"
MEMORY_MIB = 768
DISK_BYTES = 6 << 30  # sparse; the box makes spare files only where that much is free

_INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1 HOME=/run TMPDIR=/run/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /run
mkdir /run/host /run/tmp
mount -t hostfs host /run/host -o {folder}
exec > /run/host/guest.log 2>&1
ip link set lo up
cd {root}
{python} -m tests.power.guest {words}
echo "guest ended with $?"
poweroff -f || halt -f
"""


class GuestFailedError(AssertionError):
    """The guest did not come to its end; what it said is the message."""


def run_guest(folder: Path, *words: str, disks: int, limit_s: float) -> Any:
    """`words` to tests.power.guest, in an empty folder; what it reports."""
    folder.mkdir(parents=True)
    init = folder / "init"
    python = ROOT / ".venv/bin/python" if (ROOT / ".venv/bin/python").exists() else sys.executable
    init.write_text(_INIT.format(folder=folder, root=ROOT, python=python, words=" ".join(words)))
    init.chmod(0o755)
    images = [_image(folder / f"disk{index}") for index in range(disks)]
    command = [KERNEL, f"mem={MEMORY_MIB}M", "rootfstype=hostfs", "ro", f"init={init}", "con=null", "con0=null,fd:1"]
    command += [f"ubd{'bcdef'[index]}={image}" for index, image in enumerate(images)]
    try:
        _boot([*command, "quiet"], folder, limit_s)
    finally:
        for image in images:
            image.unlink()
    report = folder / "report.json"
    if not report.exists():
        raise GuestFailedError(_said(folder))
    return json.loads(report.read_text())


def _boot(command: list[str], folder: Path, limit_s: float) -> None:
    environment = {**os.environ, "TMPDIR": str(_memory_folder(folder)), "LD_PRELOAD": str(_wide_registers(folder))}
    with (folder / "console.log").open("wb") as console:
        # A session of its own: the kernel is several processes, which have to end together.
        guest = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env=environment,
            start_new_session=True,
        )
        try:
            guest.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise GuestFailedError(f"no end after {limit_s:g} s:\n{_said(folder)}") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(guest.pid, signal.SIGKILL)
            guest.wait()


def _wide_registers(folder: Path) -> Path:
    """Without it the guest does not start where the processor has AMX; elsewhere it does nothing."""
    library = folder / "wide_registers.so"
    source = Path(__file__).with_name("wide_registers.c")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def _image(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(DISK_BYTES)
    return path


def _memory_folder(folder: Path) -> Path:
    """Where the guest's memory lies as a file: in memory, if a container's /dev/shm is not too small for that."""
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and shutil.disk_usage(shared).free > 2 * MEMORY_MIB << 20
    return shared if roomy else folder


def _said(folder: Path) -> str:
    logs = (folder / name for name in ("guest.log", "console.log"))
    return "\n".join(log.read_text(errors="replace")[-4000:] for log in logs if log.exists())
