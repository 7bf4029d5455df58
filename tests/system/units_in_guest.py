"""Runs inside the booted root folder: works the units, writes what it saw to /results.json, powers off.

Put there by test_units.py. Standard library only.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import traceback
import urllib.request
from collections.abc import Callable
from pathlib import Path

UNITS = Path("/usr/lib/systemd/system")
OURS = Path("/etc/systemd/system")
SANDBOX = "/usr/local/lib/units_in_sandbox.py"
RESULTS: dict[str, object] = {}


def ctl(*words: str) -> str:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def shown(unit: str, name: str) -> str:
    return ctl("show", "-p", name, "--value", unit)


def until(wanted: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not wanted():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def is_active(unit: str) -> bool:
    return shown(unit, "ActiveState") == "active"


def drop_in(unit: str, text: str) -> None:
    folder = OURS / f"{unit}.d"
    folder.mkdir(exist_ok=True)
    (folder / "test.conf").write_text(text)
    ctl("daemon-reload")


def comes_back(unit: str, number: int, seconds: float) -> dict[str, object]:
    """Sends a signal to the main process; True where systemd starts another that is ready."""
    before = shown(unit, "MainPID")
    started = time.monotonic()
    os.kill(int(before), number)
    back = until(lambda: shown(unit, "MainPID") not in ("0", before) and is_active(unit), seconds)
    journal = subprocess.run(["journalctl", "-u", unit, "-o", "cat"], capture_output=True, text=True, check=False)
    return {
        "back": back,
        "seconds": round(time.monotonic() - started, 1),
        "restarts": shown(unit, "NRestarts"),
        "watchdog": "Watchdog timeout" in journal.stdout,
    }


def sandboxed(unit: str) -> str:
    """A copy of the unit, of which only the program, the folders' names and the watchdog's period differ."""
    name = f"sandbox-{unit}"
    lines = []
    for line in (UNITS / f"{unit}.service").read_text().splitlines():
        key = line.partition("=")[0]
        if key == "ExecStart":
            line = f"ExecStart=/usr/bin/python3 {SANDBOX}"
        elif key in ("StateDirectory", "RuntimeDirectory"):
            line = f"{key}={name}"
        elif key == "WatchdogSec":
            line = "WatchdogSec=3"
        elif key == "OnFailure":
            continue
        elif key == "Type":
            line = "Type=notify"
        lines.append(line)
    if not any(line.startswith("StateDirectory=") for line in lines):  # the report is written there
        lines += [f"StateDirectory={name}", "StateDirectoryMode=0700", f"RuntimeDirectory={name}"]
    (OURS / f"{name}.service").write_text("\n".join(lines))
    ctl("daemon-reload")
    return name


def sandbox(unit: str) -> None:
    name = sandboxed(unit)
    ctl("start", name)
    report = Path("/var/lib", name, "report.json")
    RESULTS[unit] = json.loads(report.read_text()) if report.exists() else journal(name)
    RESULTS[f"{unit} ready"] = is_active(name)
    RESULTS[f"{unit} stopped process"] = comes_back(name, signal.SIGSTOP, 20)
    RESULTS[f"{unit} killed process"] = comes_back(name, signal.SIGKILL, 20)
    ctl("stop", name)


def print_sandbox(unit: str) -> None:
    name = sandboxed(unit)
    ctl("start", name)
    report = Path("/var/lib", name, "report.json")
    RESULTS[unit] = json.loads(report.read_text()) if report.exists() else journal(name)
    ctl("stop", name)


ASK = """
import asyncio, sys
from pathlib import Path
from appliance.adapters.printers import open_apart
from appliance.formats import printer_profiles
printer = open_apart(sys.argv[1], printer_profiles.find("generic-80"), Path("/run/slipway-print"))
print(asyncio.run(printer.status()).detail)
"""


def real_print_services() -> None:
    """The printers' programs in their sandboxes, called as the box calls them. There is no printer here."""
    for device in ("usb", "serial:///dev/ttyS9", "tcp://127.0.0.1:9100", "tcp://localhost:1"):
        RESULTS[f"asked {device}"] = said(
            "setpriv", "--reuid=slipway", "--regid=slipway", "--clear-groups",
            "/opt/slipway/bin/python", "-c", ASK, device,
        )  # fmt: skip
    RESULTS["print users"] = [shown(unit, "User") for unit in ("slipway-print", "slipway-print-tcp")]
    RESULTS["print active"] = [is_active(unit) for unit in ("slipway-print", "slipway-print-tcp")]
    RESULTS["stranger"] = said(
        "setpriv", "--reuid=nobody", "--clear-groups", "/usr/bin/python3", "-c",
        "import socket; socket.socket(socket.AF_UNIX).connect('/run/slipway-print/device.socket')",
    )  # fmt: skip
    pid = shown("slipway-print", "MainPID")
    os.kill(int(pid), signal.SIGALRM)
    RESULTS["print replaced"] = until(lambda: shown("slipway-print", "MainPID") not in ("0", pid), 20)
    RESULTS["print journal"] = journal("slipway-print") + journal("slipway-print-tcp")
    ctl("stop", "slipway-print", "slipway-print-tcp")


def journal(unit: str) -> str:
    words = ["journalctl", "-q", "-u", unit, "-o", "cat", "-n", "40"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def control() -> None:
    """The same attempts by root without any sandbox: an attempt that fails here too would prove nothing."""
    (OURS / "control.service").write_text(
        "[Service]\nType=notify\nStateDirectory=control\nRuntimeDirectory=control\n"
        f"ExecStart=/usr/bin/python3 {SANDBOX}\n"
    )
    ctl("daemon-reload")
    ctl("start", "control")
    RESULTS["control"] = json.loads(Path("/var/lib/control/report.json").read_text())["attempts"]
    ctl("stop", "control")


def sealed_key() -> None:
    """The spool's key, sealed to this machine, reaches the box as a credential."""
    store = Path("/etc/credstore.encrypted")
    store.mkdir(exist_ok=True)
    words = ["systemd-creds", "encrypt", "--with-key=host", "--name=spool.key", "-", str(store / "spool.key")]
    subprocess.run(words, input=b"sealed", check=True, capture_output=True)
    ctl("start", "sandbox-slipway")
    report = json.loads(Path("/var/lib/sandbox-slipway/report.json").read_text())
    RESULTS["sealed key"] = report["facts"]["credential"]
    ctl("stop", "sandbox-slipway")
    (store / "spool.key").unlink()


def back_off() -> None:
    """A box that fails at each start is tried again after a pause, until somebody stops it."""
    drop_in("slipway.service", "[Service]\nExecStart=\nExecStart=/bin/false\nRestartSec=100ms\n")
    drop_in("slipway-retry.service", "[Service]\nExecStart=\n" + retry_line().replace("sleep 60", "sleep 5"))
    ctl("start", "slipway")
    waits = until(lambda: is_active("slipway-retry"), 20)
    after_burst = shown("slipway", "NRestarts")
    again = until(lambda: not is_active("slipway-retry"), 20) and until(lambda: is_active("slipway-retry"), 20)
    ctl("stop", "slipway")
    stays = until(lambda: not is_active("slipway-retry"), 3)
    time.sleep(7)
    stays = stays and shown("slipway", "ActiveState") in ("failed", "inactive") and not is_active("slipway-retry")
    RESULTS["back-off"] = {"waits": waits, "restarts": after_burst, "tries again": again, "a stop stays a stop": stays}
    for unit in ("slipway.service", "slipway-retry.service"):
        (OURS / f"{unit}.d/test.conf").unlink()
    ctl("daemon-reload")
    ctl("reset-failed")


def retry_line() -> str:
    text = (UNITS / "slipway-retry.service").read_text()
    return next(line for line in text.splitlines() if line.startswith("ExecStart="))


def real_vault() -> None:
    ctl("start", "slipway-vault")
    ready = is_active("slipway-vault")
    RESULTS["real vault ready"] = ready
    if ready:
        with urllib.request.urlopen("http://127.0.0.1:8080/healthz", timeout=10) as answer:
            RESULTS["real vault health"] = answer.status
        RESULTS["real vault stopped process"] = comes_back("slipway-vault", signal.SIGSTOP, 60)
        RESULTS["real vault journal"] = journal("slipway-vault")
        ctl("stop", "slipway-vault")
        RESULTS["real vault end"] = shown("slipway-vault", "Result")
    else:
        RESULTS["real vault journal"] = journal("slipway-vault")


def real_box() -> None:
    ctl("start", "slipway")
    ready = is_active("slipway")
    RESULTS["real box ready"] = ready
    RESULTS["real box listening"] = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=False).stdout
    status = subprocess.run(["/usr/local/bin/slipway", "status"], capture_output=True, text=True, check=False)
    RESULTS["real box status"] = f"{status.returncode} {status.stdout} {status.stderr}"
    if ready:
        RESULTS["real box stopped process"] = comes_back("slipway", signal.SIGSTOP, 60)
    RESULTS["real box journal"] = journal("slipway")
    ctl("stop", "slipway")
    RESULTS["real box end"] = shown("slipway", "Result")


def first_slip() -> None:
    """Both services in their sandboxes: enrol, send one image, a slip comes out and its object reaches the vault."""
    settings = Path("/etc/slipway/slipway.toml")
    slips = Path("/var/lib/slipway/slips")
    text = settings.read_text()
    for old, new in (
        ('unknown_peers = "park"', 'unknown_peers = "accept"'),
        ('second_factor = "birth-date"', 'second_factor = "none"'),
        ('device = "none"', f'device = "file://{slips}"'),
    ):
        assert old in text
        text = text.replace(old, new)
    settings.write_text(text)
    slips.mkdir(exist_ok=True)
    shutil.chown(slips, "slipway", "slipway")
    ctl("start", "slipway-vault", "slipway")
    RESULTS["set-up slip"] = until(lambda: (slips / "SETUP.png").exists(), 30)
    (slips / "SETUP.png").unlink(missing_ok=True)
    ctl("restart", "slipway")
    RESULTS["status slip"] = said("/usr/local/bin/slipway", "status", "--print")
    time.sleep(12)  # two looks whether a set-up slip is due
    RESULTS["set-up slip again"] = (slips / "SETUP.png").exists()
    code = said("/opt/slipway-vault/bin/slipway-vault", "enrol-code", "--json", "test")
    RESULTS["enrolled"] = said("/usr/local/bin/slipway", "enrol", "http://127.0.0.1:8080", json.loads(code)["code"])
    image = said(
        "/opt/slipway/bin/python", "-c", "from pydicom.data import get_testdata_file as f; print(f('CT_small.dcm'))"
    )
    RESULTS["sent"] = said(
        "/opt/slipway/bin/python", "-m", "pynetdicom", "storescu", "127.0.0.1", "104", image, "-aec", "SHARE"
    )
    started = time.monotonic()
    RESULTS["slip"] = until(lambda: any(slips.glob("S-*.png")), 30)
    RESULTS["slip seconds"] = round(time.monotonic() - started, 1)
    objects = Path("/var/lib/slipway-vault/objects")
    RESULTS["object in the vault"] = until(lambda: any(path.is_file() for path in objects.rglob("*")), 30)
    RESULTS["first slip journal"] = journal("slipway") + journal("slipway-vault")
    ctl("stop", "slipway", "slipway-vault")


def said(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip() if done.returncode == 0 else f"{done.returncode} {done.stdout} {done.stderr}"


def is_importable(program: str, module: str) -> bool:
    words = [f"/opt/{program}/bin/python", "-c", f"from {module} import main"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def main() -> None:
    subprocess.run(["ip", "addr", "add", "10.9.9.9/32", "dev", "lo"], check=False)
    until(lambda: "slipway" not in ctl("list-jobs"), 60)
    ctl("stop", "slipway", "slipway-retry")
    ctl("reset-failed")
    RESULTS["first port"] = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text().strip()
    control()
    sandbox("slipway")
    sandbox("slipway-vault")
    print_sandbox("slipway-print")
    print_sandbox("slipway-print-tcp")
    sealed_key()
    back_off()
    RESULTS["vault importable"] = is_importable("slipway-vault", "vault.cli")
    if RESULTS["vault importable"]:
        real_vault()
    RESULTS["box importable"] = is_importable("slipway", "appliance.cli")
    if RESULTS["box importable"]:
        real_print_services()
        real_box()
    if RESULTS["vault importable"] and RESULTS["box importable"]:
        first_slip()


if __name__ == "__main__":
    try:
        main()
    except Exception:
        RESULTS["traceback"] = traceback.format_exc()
        raise
    finally:
        Path("/results.json").write_text(json.dumps(RESULTS, indent=1))
        subprocess.run(["systemctl", "poweroff"], check=False)
