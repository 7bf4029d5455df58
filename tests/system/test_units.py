"""The units for real: systemd as PID 1 over the image's root folder, in systemd-nspawn.

Builds build/image/root (a minute the first time, seconds later), boots a copy-on-write view of it, and lets
units_in_guest.py work the units in there. MemoryMax= is not enforced in this way; image/boot_test.sh boots a kernel.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
BUILT = ROOT / "build/image/root"

# In mount and process namespaces of its own, so that nothing is left behind however it ends. The cgroups that systemd
# made are removed afterwards: they belong to the kernel, not to a namespace.
BOOT = """
mount --make-rprivate /
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
mkdir -p "/sys/fs/cgroup/slipway-test-$$"
echo $$ > "/sys/fs/cgroup/slipway-test-$$/cgroup.procs"
timeout -k 10 300 systemd-nspawn -q --register=no --keep-unit -D "$1/root" --machine=slipway-test --boot \
    --private-network --console=pipe < /dev/null > "$1/console" 2>&1 || true
cp "$1/root/results.json" "$1/results.json"
echo $$ > /sys/fs/cgroup/cgroup.procs
find "/sys/fs/cgroup/slipway-test-$$" -depth -type d -exec rmdir {} + 2>/dev/null || true
"""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="boots a root folder, which needs root"),
    pytest.mark.skipif(not shutil.which("systemd-nspawn"), reason="needs systemd-nspawn (systemd-container)"),
    pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="needs mmdebstrap"),
]


def put(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def overlay(folder: Path) -> Path:
    """What the guest has beside the image: the scripts, and the vault, whose program is in the box's wheel."""
    extra = folder / "extra"
    put(HERE / "units_in_guest.py", extra / "usr/local/lib/units_in_guest.py")
    put(HERE / "units_in_sandbox.py", extra / "usr/local/lib/units_in_sandbox.py")
    put(ROOT / "systemd/slipway-vault.service", extra / "usr/lib/systemd/system/slipway-vault.service")
    put(ROOT / "systemd/sysusers.d/slipway-vault.conf", extra / "usr/lib/sysusers.d/slipway-vault.conf")
    put(ROOT / "systemd/tmpfiles.d/slipway-vault.conf", extra / "usr/lib/tmpfiles.d/slipway-vault.conf")
    put(ROOT / "systemd/etc/vault.toml", extra / "etc/slipway/vault.toml")
    (extra / "opt").mkdir()
    (extra / "opt/slipway-vault").symlink_to("slipway")
    wanted = extra / "etc/systemd/system/multi-user.target.wants"
    wanted.mkdir(parents=True)
    (wanted / "units-test.service").symlink_to("../units-test.service")
    (extra / "etc/systemd/system/units-test.service").write_text(
        "[Unit]\nDefaultDependencies=no\nAfter=multi-user.target\n"
        "[Service]\nType=exec\nExecStart=/usr/bin/python3 /usr/local/lib/units_in_guest.py\n"
    )
    return extra


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What units_in_guest.py wrote."""
    folder = tmp_path_factory.mktemp("units")
    subprocess.run([ROOT / "image/build.sh", "root"], check=True, stdout=subprocess.DEVNULL)
    layers = f"{overlay(folder)}:{BUILT}"
    subprocess.run(
        [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            BOOT,
            "boot",
            folder,
            layers,
        ],
        check=True,
        timeout=400,
    )
    results = folder / "results.json"
    assert results.exists(), (folder / "console").read_text(errors="replace")[-4000:]
    found: dict[str, Any] = json.loads(results.read_text())
    assert "traceback" not in found, found["traceback"]
    return found


UNITS = ["slipway", "slipway-vault"]
PRINT_UNITS = ["slipway-print", "slipway-print-tcp"]
DENIED = {
    "read /etc/shadow": {"EACCES"},
    "read /root": {"EACCES"},
    "write to /usr": {"EROFS"},
    "write to /etc": {"EROFS", "EACCES"},
    "write to /opt": {"EROFS"},
    "write to /var/lib": {"EROFS"},
    "write to /proc/sys": {"EROFS", "EACCES", "ENOENT"},
    "see PID 1": {"ENOENT"},
    "ptrace": {"EPERM"},
    "become root": {"EPERM"},
    "mount": {"EPERM"},
    "unshare a user namespace": {"EPERM"},
    "make a device node": {"EPERM"},
    "set-uid file": {"EPERM"},
    "run memory that was written": {"EPERM", "EACCES"},
    "set the clock": {"EPERM"},
    "packet socket": {"EAFNOSUPPORT"},
    "raw socket": {"EPERM", "EAFNOSUPPORT"},
    "listen on port 80": {"EACCES", "EAFNOSUPPORT"},
}
DENIED_BY_THE_CONTAINER = {"set the clock"}


@pytest.mark.parametrize("unit", UNITS + PRINT_UNITS)
@pytest.mark.parametrize("attempt", DENIED)
def test_sandbox_denies(seen: dict[str, Any], unit: str, attempt: str) -> None:
    assert seen[unit]["attempts"][attempt] in DENIED[attempt]


@pytest.mark.parametrize("attempt", DENIED)
def test_sandbox_is_what_denies(seen: dict[str, Any], attempt: str) -> None:
    if attempt in DENIED_BY_THE_CONTAINER:
        pytest.skip("systemd-nspawn denies this to everyone inside")
    assert seen["control"][attempt] == "done"


@pytest.mark.parametrize("unit", UNITS)
def test_unit_may_write_to_its_own_folders_only_it_can_read(seen: dict[str, Any], unit: str) -> None:
    attempts, facts = seen[unit]["attempts"], seen[unit]["facts"]
    assert (attempts["write to the state folder"], attempts["write to the runtime folder"]) == ("done", "done")
    assert (facts["state mode"], facts["umask"]) == ("0o700", "0077")


@pytest.mark.parametrize("unit", UNITS + PRINT_UNITS)
def test_unit_holds_no_capability_and_gains_none(seen: dict[str, Any], unit: str) -> None:
    facts = seen[unit]["facts"]
    assert facts["capabilities"] == ""
    assert (facts["no new privileges"], facts["seccomp"]) == ("1", "2")


@pytest.mark.parametrize("unit", UNITS + PRINT_UNITS)
def test_unit_leaves_no_core_file(seen: dict[str, Any], unit: str) -> None:
    assert seen[unit]["facts"]["core limit"] == "(0, 0)"


def test_box_may_listen_on_104_without_a_capability(seen: dict[str, Any]) -> None:
    assert seen["first port"] == "104"
    assert seen["slipway"]["attempts"]["listen on port 104"] == "done"


def test_only_the_usb_printers_program_may_open_netlink_without_which_libusb_does_not_start(
    seen: dict[str, Any],
) -> None:
    assert seen["slipway-print"]["attempts"]["netlink socket"] == "done"
    for unit in (*UNITS, "slipway-print-tcp"):
        assert seen[unit]["attempts"]["netlink socket"] == "EAFNOSUPPORT"


def test_the_usb_printers_program_has_no_network(seen: dict[str, Any]) -> None:
    assert seen["slipway-print"]["attempts"]["connect elsewhere"] == "EAFNOSUPPORT"


def test_the_printers_programs_see_neither_settings_nor_spool(seen: dict[str, Any]) -> None:
    for unit in PRINT_UNITS:
        assert seen[unit]["attempts"]["see the spool"] == "EACCES"
        assert seen[unit]["attempts"]["see the settings"] == "EACCES"


def test_the_box_reaches_each_kind_of_printer_through_its_own_program(seen: dict[str, Any]) -> None:
    if not seen["box importable"]:
        pytest.skip("the box's program is not complete")
    assert "no printer is plugged in" in seen["asked usb"], seen["print journal"]
    assert "/dev/ttyS9 cannot be opened" in seen["asked serial:///dev/ttyS9"], seen["print journal"]
    assert "127.0.0.1:9100 does not accept" in seen["asked tcp://127.0.0.1:9100"], seen["print journal"]
    assert "localhost:1 does not accept" in seen["asked tcp://localhost:1"], seen["print journal"]
    assert seen["print users"] == ["slipway-print"] * 2
    assert seen["print active"] == [True, True]


def test_nobody_but_the_box_may_call_the_printers_program(seen: dict[str, Any]) -> None:
    assert "PermissionError" in seen["stranger"]


def test_a_printers_program_that_its_deadline_ended_is_there_again(seen: dict[str, Any]) -> None:
    assert seen["print replaced"], seen["print journal"]


def test_vault_talks_to_this_machine_only(seen: dict[str, Any]) -> None:
    if seen["slipway-vault"]["attempts"]["connect elsewhere"] == "ECONNREFUSED":
        pytest.skip("this kernel gives containers no cgroup BPF, so IPAddressDeny= has no effect")
    assert seen["slipway"]["attempts"]["connect elsewhere"] == "ECONNREFUSED"
    assert seen["slipway-vault"]["attempts"]["connect elsewhere"] in {"EPERM", "ETIMEDOUT", "timed out"}


@pytest.mark.parametrize("unit", UNITS)
def test_notify_makes_the_unit_ready(seen: dict[str, Any], unit: str) -> None:
    assert seen[f"{unit} ready"]


@pytest.mark.parametrize("unit", UNITS)
def test_watchdog_kills_a_stopped_process_and_another_starts(seen: dict[str, Any], unit: str) -> None:
    found = seen[f"{unit} stopped process"]
    assert found["back"]
    assert found["watchdog"]


@pytest.mark.parametrize("unit", UNITS)
def test_killed_process_is_replaced(seen: dict[str, Any], unit: str) -> None:
    assert seen[f"{unit} killed process"]["back"]


def test_spool_key_sealed_to_the_machine_reaches_the_box_and_its_absence_stops_nothing(seen: dict[str, Any]) -> None:
    assert seen["slipway"]["facts"]["credential"] == ""
    assert seen["sealed key"] == "sealed"


def test_box_that_fails_at_each_start_is_tried_again_until_somebody_stops_it(seen: dict[str, Any]) -> None:
    found = seen["back-off"]
    assert found["waits"]
    assert found["tries again"]
    assert found["a stop stays a stop"]
    assert int(found["restarts"]) <= 5


def test_real_vault_is_ready_answers_and_survives_a_hang(seen: dict[str, Any]) -> None:
    if not seen["vault importable"]:
        pytest.skip("the vault's program is not complete")
    assert seen["real vault ready"], seen["real vault journal"]
    assert seen["real vault health"] == 200
    found = seen["real vault stopped process"]
    assert found["back"], seen["real vault journal"]
    assert found["watchdog"], seen["real vault journal"]
    assert seen["real vault end"] == "success", seen["real vault journal"]


def test_real_box_is_ready_listens_and_survives_a_hang(seen: dict[str, Any]) -> None:
    if not seen["box importable"]:
        pytest.skip("the box's program is not complete")
    assert seen["real box ready"], seen["real box journal"]
    assert "0.0.0.0:104" in seen["real box listening"]
    assert "Traceback" not in seen["real box status"]
    found = seen["real box stopped process"]
    assert found["back"], seen["real box journal"]
    assert found["watchdog"], seen["real box journal"]
    assert seen["real box end"] == "success", seen["real box journal"]


def test_the_box_prints_its_own_slips_from_inside_its_sandbox(seen: dict[str, Any]) -> None:
    if not seen["box importable"]:
        pytest.skip("the box's program is not complete")
    assert seen["set-up slip"], seen["first slip journal"]
    assert seen["status slip"] == "The status slip is out."
    assert not seen["set-up slip again"]  # once a boot, also when the service is restarted


def test_both_services_make_a_slip_from_inside_their_sandboxes(seen: dict[str, Any]) -> None:
    if not (seen["vault importable"] and seen["box importable"]):
        pytest.skip("a program is not complete")
    assert "enrolled" in seen["enrolled"], seen["first slip journal"]
    assert seen["slip"], (seen["sent"], seen["first slip journal"])
    assert seen["object in the vault"], seen["first slip journal"]
