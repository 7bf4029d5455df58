"""The box in the guest: the real command, forked from this process so that a start costs no imports."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from appliance.adapters import control
from appliance.adapters import vault as vault_adapter
from appliance.cli.box import run
from appliance.formats import escpos
from tests.system.harness import Vault, eventually

PORT = 11112
HOUSE = Path("/run/house")  # outlives the cuts: the vault, the paper, and who the box is
SLIPS = HOUSE / "slips"
CONFIG = HOUSE / "slipway.toml"
DISK = Path("/run/disk")  # what the power cuts hit
STATE = DISK / "state"
STARTS_WITHIN_S = 20.0

_SETTINGS = f"""
[dicom]
listen = ["127.0.0.1:{PORT}"]
unknown_peers = "accept"
[[profile]]
ae_title = "SHARE"
quiet_seconds = 3600
second_factor = "none"
[printer]
device = "file://{SLIPS}"
[spool]
path = "{STATE}"
spare_files = {{spare_files}}
"""


def prepare() -> None:
    """A vault, the box's settings, and its enrolment."""
    SLIPS.mkdir(parents=True)
    vault = Vault(HOUSE / "vault")
    vault.start()
    enrolment = asyncio.run(vault_adapter.enrol(vault.url, vault.enrol_code(), "", time.time))
    from appliance.formats import identity_file

    (HOUSE / "enrolment.json").write_bytes(identity_file.encode(enrolment))
    escpos.library()  # here, once for all starts


def move_in(spare_files: int) -> None:
    """A new disk: nothing but who the box is."""
    CONFIG.write_text(_SETTINGS.format(spare_files=spare_files))
    STATE.mkdir(mode=0o700)
    shutil.copy(HOUSE / "enrolment.json", STATE)
    for slip in SLIPS.iterdir():
        slip.unlink()
    os.sync()


class Box:
    def __init__(self) -> None:
        self.log = HOUSE / "box.log"
        self._pid = os.fork()
        if self._pid == 0:
            _be_the_box(self.log)

    def hold_still(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def wait_until_it_listens(self) -> None:
        eventually(self._listens, STARTS_WITHIN_S, "the box listens")

    def _listens(self) -> bool:
        if os.waitpid(self._pid, os.WNOHANG)[0]:
            raise AssertionError(f"the box ended: {self.log.read_text(errors='replace')[-2000:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", PORT)) == 0

    def ask(self, command: str, **arguments: str) -> Any:
        return asyncio.run(control.call(STATE, command, arguments))


def _be_the_box(log: Path) -> NoReturn:
    status = 1
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        run(CONFIG)
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:  # noqa: BLE001 - nothing of the test's process may run on in the child
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def make_file_system(device: str) -> None:
    options = "lazy_itable_init=1,lazy_journal_init=1,nodiscard"
    subprocess.run(["mkfs.ext4", "-q", "-F", "-J", "size=16", "-E", options, device], check=True)
