"""udev's own rule engine over mock devices: who gets /dev/slipway-printer, in which group, and that usblp lets go.

`udevadm test` under umockdev, in a mount namespace with its own /dev and /run, so nothing on this machine changes.
image/boot_test.sh plugs a real kernel's printer gadget in.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

RULES = Path(__file__).parents[2] / "udev/60-slipway-printer.rules"
DEVICE = "/devices/pci0000:00/0000:00:14.0/usb1/1-1"
GROUP = 990
ISOLATED = """
mkdir -p "$1/null"
mount -t tmpfs none /run
touch /run/null /run/group
mount --bind /dev/null /run/null
mount -t tmpfs none /dev
touch /dev/null
mount --bind /run/null /dev/null
mkdir -p /run/udev/rules.d
cp "$2" /run/udev/rules.d/
printf 'root:x:0:\\nlp:x:7:\\nslipway-print:x:%s:\\n' "$3" > /run/group
mount --bind /run/group /etc/group
exec umockdev-run --device "$1/devices" -- sh -c '
    mkdir -p "$UMOCKDEV_DIR/sys/bus/usb/drivers/usblp"
    : > "$UMOCKDEV_DIR/sys/bus/usb/drivers/usblp/unbind"
    udevadm test --action="$1" "/sys$2" 2>&1
    echo "UNBIND $(cat "$UMOCKDEV_DIR/sys/bus/usb/drivers/usblp/unbind")"' sh "$4" "$5"
"""


def isolated(*command: str) -> list[str]:
    return ["unshare", "--map-root-user", "--mount", *command]


pytestmark = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in ("udevadm", "umockdev-run", "unshare"))
    or subprocess.run(isolated("mount", "-t", "tmpfs", "none", "/run"), capture_output=True, check=False).returncode
    != 0,
    reason="needs udevadm, umockdev-run and a mount namespace",
)


def description(vendor: str, interface: str) -> str:
    """A device with one interface of a class, subclass and protocol, as umockdev-record would write it."""
    low_high = vendor[2:] + vendor[:2]
    descriptors = (
        f"1201000200000040{low_high}150E000101020301"  # device
        "0902200001010080320904000002"  # configuration, and the interface up to its number of endpoints
        f"{interface}00"
        "07050102000200"
        "07058202000200"
    ).upper()
    return f"""P: {DEVICE}
N: bus/usb/001/002
E: DEVTYPE=usb_device
E: SUBSYSTEM=usb
E: DEVNAME=/dev/bus/usb/001/002
E: BUSNUM=001
E: DEVNUM=002
E: MAJOR=189
E: MINOR=1
A: idVendor={vendor}
A: idProduct=0e15
A: busnum=1
A: devnum=2
H: descriptors={descriptors}

P: {DEVICE}/1-1:1.0
E: DEVTYPE=usb_interface
E: SUBSYSTEM=usb
E: DRIVER=usblp
A: bInterfaceClass={interface[:2]}
L: driver=../../../../../../bus/usb/drivers/usblp
"""


def plugged(tmp_path: Path, vendor: str, interface: str, action: str = "add", path: str = DEVICE) -> list[str]:
    """What udev says when the device, or its interface, appears."""
    (tmp_path / "devices").write_text(description(vendor, interface))
    arguments = [str(tmp_path), str(RULES), str(GROUP), action, path]
    words = isolated("sh", "-ec", ISOLATED, "rules", *arguments)
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert f"ID_USB_INTERFACES=:{interface}:" in done.stdout or path != DEVICE
    return done.stdout.splitlines()


def said(lines: list[str], text: str) -> bool:
    return any(RULES.name in line and line.endswith(text) for line in lines)


@pytest.mark.parametrize(
    ("vendor", "interface", "kind"),
    [
        pytest.param("04b8", "070102", "receipt", id="Epson, printer class"),
        pytest.param("04b8", "ff0000", "receipt", id="Epson, vendor's own class"),
        pytest.param("0416", "070102", "receipt", id="a 58 mm printer without a name"),
        pytest.param("f00d", "070102", "class", id="a printer of an unknown vendor"),
    ],
)
def test_printer_belongs_to_the_box_and_has_its_name(tmp_path: Path, vendor: str, interface: str, kind: str) -> None:
    lines = plugged(tmp_path, vendor, interface)
    assert f"SLIPWAY_PRINTER={kind}" in lines
    assert "DEVLINKS=/dev/slipway-printer" in lines
    assert "TAGS=:systemd:" in lines
    assert said(lines, f"GROUP {GROUP}")
    assert said(lines, "MODE 0660")


@pytest.mark.parametrize(
    ("vendor", "interface"),
    [
        pytest.param("0483", "ff0000", id="a programmer with a receipt printer's vendor number"),
        pytest.param("0781", "080650", id="a memory stick"),
        pytest.param("046d", "030101", id="a keyboard"),
    ],
)
def test_what_is_no_printer_stays_out_of_reach(tmp_path: Path, vendor: str, interface: str) -> None:
    lines = plugged(tmp_path, vendor, interface)
    assert not any("slipway-printer" in line and "Reading" not in line for line in lines)
    assert not any(f"GROUP {GROUP}" in line for line in lines)


def test_usblp_is_sent_away_as_it_binds(tmp_path: Path) -> None:
    lines = plugged(tmp_path, "04b8", "070102", "bind", f"{DEVICE}/1-1:1.0")
    assert "UNBIND 1-1:1.0" in lines


def test_other_drivers_keep_their_interfaces(tmp_path: Path) -> None:
    lines = plugged(tmp_path, "0781", "080650", "bind", f"{DEVICE}/1-1:1.0")
    assert "UNBIND " in lines
