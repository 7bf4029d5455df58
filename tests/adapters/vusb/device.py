"""The device process: a USB bus that tests plug printers into. One JSON list a line in, one JSON value a line out.

Started by `bench` under umockdev's preload library. It must not be the process that prints: both sides of umockdev in
one process corrupt its heap.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from tests.adapters.vusb import descriptors, usbfs
from tests.adapters.vusb.umockdev import GLib, UMockdev
from tests.fakes import printers


class Bus:
    def __init__(self) -> None:
        self.testbed = UMockdev.Testbed.new()
        self._number = 1
        self._plugged: dict[str, tuple[int, usbfs.PluggedPrinter]] = {}

    def plug(self, serial: str, behaviour: str, arguments: list[Any], busy: bool) -> None:
        """A new device number each time, as from a kernel."""
        self._number += 1
        machine = getattr(printers, behaviour)(*arguments)
        printer = usbfs.PluggedPrinter(machine, serial, busy=busy)
        self.testbed.add_from_string(descriptors.testbed_entry(self._number, serial))
        self.testbed.attach_ioctl(f"/dev/bus/usb/001/{self._number:03d}", printer)
        self.testbed.uevent(_path(self._number), "add")
        self._plugged[serial] = self._number, printer

    def unplug(self, serial: str) -> None:
        number, printer = self._plugged.pop(serial)
        printer.gone = True
        self.testbed.uevent(_path(number), "remove")
        self.testbed.remove_device(_path(number))

    def unplug_all(self) -> None:
        for serial in list(self._plugged):
            self.unplug(serial)

    def vanish(self, serial: str) -> None:
        """Like unplug, but nobody is told: no udev event, as inside a sandbox without netlink."""
        number, printer = self._plugged.pop(serial)
        printer.gone = True
        self.testbed.remove_device(_path(number))

    def hold(self, serial: str, held: bool) -> None:
        """By another program, such as CUPS."""
        self._plugged[serial][1].held = held

    def node(self, serial: str) -> str:
        return f"/dev/bus/usb/001/{self._plugged[serial][0]:03d}"

    def jobs(self, serial: str) -> list[str]:
        return [job.data.hex() for job in self._plugged[serial][1].machine.jobs]

    def received(self, serial: str) -> str:
        return self._plugged[serial][1].machine.received.hex()

    def resets(self, serial: str) -> int:
        return self._plugged[serial][1].resets

    def kernel_driver(self, serial: str) -> bool:
        return self._plugged[serial][1].kernel_driver


def _path(number: int) -> str:
    return f"/sys/devices/pci0000:00/0000:00:14.0/usb1/1-{number}"


def main() -> None:
    bus, loop = Bus(), GLib.MainLoop()
    threading.Thread(target=loop.run, daemon=True).start()
    print(json.dumps(bus.testbed.get_root_dir()), flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(getattr(bus, name)(*arguments)), flush=True)
    bus.testbed.clear()
    sys.stdout.flush()
    os._exit(0)  # umockdev's threads and the interpreter's end do not get on


if __name__ == "__main__":
    main()
