"""A machine with a USB printer, without hardware: Debian's kernel in QEMU with its dummy controller and printer gadget.

The guest sees this machine's root folder, read-only, so what runs in it is this tree with this Python. No network.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
KERNEL = ROOT / "build/kernel"
TOOLS = ("qemu-system-x86_64", "busybox", "modprobe", "depmod", "cpio", "apt-get", "dpkg")
MODULES = ("dummy_hcd", "usb_f_printer", "usblp", "9p", "9pnet_virtio", "virtio_pci")

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
while read module; do insmod /modules/$module || echo "MISSING $module"; done < /order
mount -t configfs none /sys/kernel/config
gadget=/sys/kernel/config/usb_gadget/printer
mkdir -p $gadget/strings/0x409 $gadget/configs/c.1 $gadget/functions/printer.0
echo 0x04b8 > $gadget/idVendor; echo 0x0e15 > $gadget/idProduct
echo EPSON > $gadget/strings/0x409/manufacturer; echo TM-T20II > $gadget/strings/0x409/product
echo SN1 > $gadget/strings/0x409/serialnumber
ln -s $gadget/functions/printer.0 $gadget/configs/c.1/
ls /sys/class/udc | head -1 > $gadget/UDC
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro host /mnt
for folder in dev sys proc; do mount --bind /$folder /mnt/$folder; done
mount --bind /sys/kernel/config /mnt/sys/kernel/config
mount -t tmpfs none /mnt/run
hostname guest; ifconfig lo up
COMMAND > /dev/ttyS1
echo "STATUS $?"
poweroff -f
"""


def missing() -> list[str]:
    return [tool for tool in TOOLS if not shutil.which(tool)]


def kernel() -> tuple[Path, str]:
    """The folder of Debian's kernel package, unpacked, and its version; fetched at the first time (70 MB)."""
    unpacked = KERNEL / "root"
    if not (unpacked / "done").exists():
        KERNEL.mkdir(parents=True, exist_ok=True)
        package = _said("apt-cache", "depends", "linux-image-amd64").split("Depends:")[1].split()[0]
        if not list(KERNEL.glob(f"{package}_*.deb")):
            subprocess.run(["apt-get", "download", "-qq", package], cwd=KERNEL, check=True)
        subprocess.run(["dpkg", "-x", *KERNEL.glob(f"{package}_*.deb"), unpacked], check=True)
        subprocess.run(["depmod", "-b", unpacked, _version(unpacked)], check=True)
        (unpacked / "done").touch()
    return unpacked, _version(unpacked)


def _version(unpacked: Path) -> str:
    return next((unpacked / "lib/modules").iterdir()).name


def _said(*words: str | Path) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def _initial_ram_disk(folder: Path, unpacked: Path, version: str, init: str) -> Path:
    tree = folder / "tree"
    for name in ("bin", "modules", "proc", "sys", "dev", "mnt"):
        (tree / name).mkdir(parents=True)
    shutil.copy(Path(shutil.which("busybox") or ""), tree / "bin/busybox")
    needed: dict[str, Path] = {}  # in the order in which they can be loaded
    for module in MODULES:
        for line in _said("modprobe", "-d", unpacked, "-S", version, "--show-depends", module).splitlines():
            if line.startswith("insmod"):
                path = Path(line.split()[1])
                needed[path.name] = path
    for name, path in needed.items():
        shutil.copy(path, tree / "modules" / name)
    (tree / "order").write_text("\n".join(needed) + "\n")
    (tree / "init").write_text(init)
    (tree / "init").chmod(0o755)
    disk = folder / "initrd"
    with disk.open("wb") as file:
        names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], input=names.encode(), cwd=tree, stdout=file, check=True)
    return disk


def run(folder: Path, module: str, *arguments: str, within_s: float) -> tuple[str, str]:
    """What `python -m module arguments` said in the guest, and what the guest's console said meanwhile."""
    unpacked, version = kernel()
    command = " ".join([sys.executable, "-B", "-m", module, *arguments])
    command = f"chroot /mnt /usr/bin/env -C {ROOT} PYTHONPATH={ROOT} TMPDIR=/run {command}"
    disk = _initial_ram_disk(folder, unpacked, version, INIT.replace("COMMAND", command))
    qemu = [
        *("qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-display", "none", "-monitor", "none", "-no-reboot"),
        *("-nic", "none", "-serial", "stdio", "-serial", f"file:{folder / 'said'}"),
        *("-kernel", str(unpacked / f"boot/vmlinuz-{version}"), "-initrd", str(disk)),
        *("-append", "console=ttyS0 panic=-1 quiet mitigations=off"),
        *("-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"),
    ]
    console = folder / "console"
    with console.open("wb") as file:
        subprocess.run(
            qemu, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, timeout=within_s, check=False
        )
    return _text(folder / "said"), _text(console)


def _text(path: Path) -> str:
    return path.read_text(errors="replace").replace("\r", "") if path.exists() else ""
