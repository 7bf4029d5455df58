"""From the words of [printer] device to a printer."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

from appliance.adapters.printers.absent import AbsentPrinter
from appliance.adapters.printers.conversation import ConversingPrinter, Timing
from appliance.adapters.printers.distant import Child, DistantPrinter, Patience, Service
from appliance.adapters.printers.file import FilePrinter
from appliance.adapters.printers.serial import DEFAULT_BAUD, SerialTransport
from appliance.adapters.printers.tcp import TcpTransport
from appliance.adapters.printers.transport import Transport
from appliance.adapters.printers.usb import UsbTransport
from appliance.adapters.printers.usb_bus import Wanted
from appliance.errors import SettingsError
from appliance.formats.printer_profiles import Profile
from appliance.ports import Printer

DEVICE_SOCKET, NETWORK_SOCKET = "device.socket", "network.socket"  # of slipway-print and slipway-print-tcp
RAW_PORT = 9100  # the de facto port of network printers
USB_NAME = re.compile(r"usb:([0-9a-f]{4}):([0-9a-f]{4})(?::(.+))?", re.IGNORECASE)
NO_IMAGER = "Leave [printer] imager out: it is for a printer on USB or a serial line, beside which it stands."
FORMS = "usb, usb:VID:PID[:SERIAL], usb:///dev/NAME, tcp://HOST:PORT, serial:///dev/ttyUSB0, file:///DIR, none"


def open_printer(device: str, profile: Profile, timing: Timing | None = None) -> Printer:
    """The printer that `device` names. Nothing is opened yet, so a printer that is off is no error.

    Raises SettingsError for words that name no printer.
    """
    return _harmless(device) or ConversingPrinter(open_transport(device), profile, timing)


def open_apart(
    device: str,
    profile: Profile,
    sockets: Path | None = None,
    timing: Timing | None = None,
    patience: Patience | None = None,
    imager: str = "",
) -> DistantPrinter | FilePrinter | AbsentPrinter:
    """The same, but driven by a process of its own: the services' whose sockets are in `sockets`, or a child.

    `imager` reads each slip's code before it is cut. Raises SettingsError like `open_printer`.
    """
    harmless = _harmless(device)
    if imager and (harmless or urlsplit(device).scheme == "tcp"):
        raise SettingsError(f"what is printed on {device} cannot be read back by {imager}", hint=NO_IMAGER)
    if harmless:
        return harmless
    open_transport(device)  # wrong words are told at the start, not at the first slip
    name = NETWORK_SOCKET if urlsplit(device).scheme == "tcp" else DEVICE_SOCKET
    worker = Service(sockets / name) if sockets else Child()
    return DistantPrinter(worker, device, profile, timing, patience, imager)


def _harmless(device: str) -> FilePrinter | AbsentPrinter | None:
    """No device that could hang."""
    if device == "none":
        return AbsentPrinter()
    url = urlsplit(device)
    return FilePrinter(_path(device, url)) if url.scheme == "file" else None


def open_transport(device: str) -> Transport:
    """The line to a device. Raises SettingsError for words that name none."""
    url = urlsplit(device)
    match url.scheme:
        case "tcp":
            return _tcp(device, url)
        case "serial":
            return SerialTransport(_path(device, url), _baud(device, url))
        case "usb" if url.path.startswith("/"):
            return UsbTransport(Wanted(node=_path(device, url)))
    if device == "usb":
        return UsbTransport(Wanted())
    if name := USB_NAME.fullmatch(device):
        return UsbTransport(Wanted(int(name[1], 16), int(name[2], 16), name[3]))
    raise _wrong(device)


def _tcp(device: str, url: SplitResult) -> TcpTransport:
    try:
        host, port = url.hostname, url.port
    except ValueError as error:
        raise _wrong(device) from error
    if not host or url.path not in ("", "/"):
        raise _wrong(device)
    return TcpTransport(host, port or RAW_PORT)


def _path(device: str, url: SplitResult) -> Path:
    if url.netloc or not url.path.startswith("/") or url.path == "/":
        raise _wrong(device)
    return Path(url.path)


def _baud(device: str, url: SplitResult) -> int:
    try:
        return int(parse_qs(url.query).get("baud", [str(DEFAULT_BAUD)])[0])
    except ValueError as error:
        raise _wrong(device) from error


def _wrong(device: str) -> SettingsError:
    return SettingsError(f"[printer] device = {device!r} names no printer", hint=f"Use one of: {FORMS}.")
