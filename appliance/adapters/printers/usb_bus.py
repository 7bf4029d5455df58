"""What is plugged in: a look at the USB bus that is new each time, and where on a device the printer is.

Only finding; bytes are carried by `usb`.
"""

from __future__ import annotations

import gc
import logging
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import usb.core
import usb.util
from usb.backend import libusb1

from appliance.errors import PrinterUnreachableError

log = logging.getLogger(__name__)

PRINTER_CLASS = 7  # USB device class definition for printing devices 1.1
IPP_OVER_USB = 4  # a protocol of that class that is no ESC/POS
VENDOR_CLASS = 255
EPSON = 0x04B8  # some TM printers leave the factory in the vendor's class; the commands are the same


NO_PERMISSION = "The service may not open the USB device: install udev/60-slipway-printer.rules, then replug it."


@dataclass(frozen=True)
class Wanted:
    """Which printer; None matches any."""

    vendor: int | None = None
    product: int | None = None
    serial: str | None = None
    node: Path | None = None  # udev's name for it, a link to /dev/bus/usb/BUS/DEVICE

    def __str__(self) -> str:
        if self.node:
            return f"usb://{self.node}"
        if self.vendor is None:
            return "usb"
        return f"usb:{self.vendor:04x}:{self.product:04x}" + (f":{self.serial}" if self.serial else "")


@dataclass(frozen=True)
class UsbPrinter:
    """One line of `slipway printer list`."""

    vendor: int
    product: int
    serial: str
    maker: str
    name: str

    @property
    def device(self) -> str:
        """As [printer] device says it."""
        return str(Wanted(self.vendor, self.product, self.serial or None))


@dataclass(frozen=True)
class Way:
    """Where the printer is on its device: interface, setting and endpoint addresses as its descriptors say."""

    configuration: int
    interface: int
    alternate: int
    protocol: int
    out_endpoint: int
    in_endpoint: int | None  # None: it cannot answer


class Bus:
    """A libusb context of its own: a long-lived one learns of replugging only from udev, which a sandbox may cut off.

    Devices found on it must be out of use before it is closed.
    """

    def __init__(self) -> None:
        shared = libusb1.get_backend()
        if shared is None:
            raise PrinterUnreachableError("libusb is missing", hint="Install the Debian package libusb-1.0-0.")
        self._context = type(shared)(shared.lib)
        self._found: weakref.WeakSet[Any] = weakref.WeakSet()

    def devices(self) -> list[Any]:
        try:
            devices = list(usb.core.find(find_all=True, backend=self._context))
        except usb.core.USBError as error:
            raise PrinterUnreachableError(f"the USB bus cannot be read ({error})") from error
        self._found.update(devices)
        return devices

    def close(self) -> None:
        """Free the context, after its devices: libusb crashes the other way round."""
        for device in list(self._found):
            usb.util.dispose_resources(device)
            del device
        if self._found:
            gc.collect()
        if self._found:
            log.warning("a USB device is still in use; its libusb context is left open")
            return
        self._context.finalize()


def list_usb() -> list[UsbPrinter]:
    """The printers on this machine's USB ports now; blocks for some milliseconds. Raises PrinterUnreachableError."""
    bus = Bus()
    try:
        return [_describe(device) for device in bus.devices() if _is_printer(device)]
    finally:
        bus.close()


def find_printer(devices: list[Any], wanted: Wanted) -> tuple[Any, Way]:
    """The one printer that is wanted. Raises PrinterUnreachableError when there is none, or more than one."""
    fitting = [(device, way) for device in devices if _fits(device, wanted) and (way := find_way(device, wanted))]
    if not fitting:
        raise PrinterUnreachableError(f"no printer is plugged in as {wanted}")
    if len(fitting) > 1:
        names = ", ".join(sorted(_describe(device).device for device, _ in fitting))
        raise PrinterUnreachableError(
            f"{len(fitting)} printers are plugged in as {wanted}", hint=f"Set [printer] device to one of: {names}."
        )
    return fitting[0]


def _fits(device: Any, wanted: Wanted) -> bool:
    if wanted.node:
        return _node_of(device) == os.path.realpath(wanted.node)
    if wanted.vendor is None:
        return _is_printer(device)
    if (device.idVendor, device.idProduct) != (wanted.vendor, wanted.product):
        return False
    return wanted.serial is None or _serial(device) == wanted.serial


def _node_of(device: Any) -> str:
    return f"/dev/bus/usb/{device.bus:03d}/{device.address:03d}"


def _serial(device: Any) -> str:
    """For telling printers apart: one that cannot be read must not look like one that is not there."""
    try:
        return (usb.util.get_string(device, device.iSerialNumber) or "") if device.iSerialNumber else ""
    except (usb.core.USBError, ValueError) as error:
        raise PrinterUnreachableError("the USB printer's serial number cannot be read", hint=NO_PERMISSION) from error


def _is_printer(device: Any) -> bool:
    return find_way(device, Wanted()) is not None


def find_way(device: Any, wanted: Wanted) -> Way | None:
    """The best interface to print on: one that answers before one that only takes."""
    ways = []
    for configuration in device:
        for interface in configuration:
            if _prints(device, interface, named=bool(wanted.vendor or wanted.node)):
                ways.extend(_way(configuration, interface))
    return min(ways, key=lambda way: (way.in_endpoint is None, way.alternate), default=None)


def _prints(device: Any, interface: Any, *, named: bool) -> bool:
    """A device that the settings name may be of the vendor's class; one that we only come across may not."""
    if interface.bInterfaceClass == PRINTER_CLASS:
        return bool(interface.bInterfaceProtocol != IPP_OVER_USB)
    return bool(interface.bInterfaceClass == VENDOR_CLASS and (named or device.idVendor == EPSON))


def _way(configuration: Any, interface: Any) -> list[Way]:
    bulk = [
        endpoint.bEndpointAddress
        for endpoint in interface
        if usb.util.endpoint_type(endpoint.bmAttributes) == usb.util.ENDPOINT_TYPE_BULK
    ]
    outs = [address for address in bulk if usb.util.endpoint_direction(address) == usb.util.ENDPOINT_OUT]
    ins = [address for address in bulk if usb.util.endpoint_direction(address) == usb.util.ENDPOINT_IN]
    if not outs:
        return []
    return [
        Way(
            configuration=configuration.bConfigurationValue,
            interface=interface.bInterfaceNumber,
            alternate=interface.bAlternateSetting,
            protocol=interface.bInterfaceProtocol,
            out_endpoint=outs[0],
            in_endpoint=ins[0] if ins else None,
        )
    ]


def _describe(device: Any) -> UsbPrinter:
    return UsbPrinter(
        device.idVendor,
        device.idProduct,
        _text(device, device.iSerialNumber),
        _text(device, device.iManufacturer),
        _text(device, device.iProduct),
    )


def _text(device: Any, index: int) -> str:
    """A string of the device's; "" where it has none or may not be asked (no permission)."""
    try:
        return (usb.util.get_string(device, index) or "") if index else ""
    except (usb.core.USBError, ValueError, NotImplementedError):
        return ""
