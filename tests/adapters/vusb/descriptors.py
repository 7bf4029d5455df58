"""What the virtual printer says of itself on the bus (USB 2.0 chapter 9; printer class 1.1)."""

from __future__ import annotations

import struct

VENDOR, PRODUCT = 0x04B8, 0x0E15
OUT_ENDPOINT, IN_ENDPOINT = 0x02, 0x81  # as on genuine TM printers, and not where python-escpos looks
BULK, PACKET_BYTES = 2, 64
PRINTER_CLASS, PRINTER_SUBCLASS, BIDIRECTIONAL = 7, 1, 2
MAKER, NAME = "EPSON", "TM-T20II"

DEVICE = struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0, 0, 0, 64, VENDOR, PRODUCT, 0x0100, 1, 2, 3, 1)
_INTERFACE = struct.pack("<BBBBBBBBB", 9, 4, 0, 0, 2, PRINTER_CLASS, PRINTER_SUBCLASS, BIDIRECTIONAL, 0)
_ENDPOINTS = b"".join(
    struct.pack("<BBBBHB", 7, 5, address, BULK, PACKET_BYTES, 0) for address in (OUT_ENDPOINT, IN_ENDPOINT)
)
_LENGTH = 9 + len(_INTERFACE) + len(_ENDPOINTS)
CONFIGURATION = struct.pack("<BBHBBBBB", 9, 2, _LENGTH, 1, 1, 0, 0xC0, 1) + _INTERFACE + _ENDPOINTS

STRING = 3
UNREADABLE = "unreadable"  # a printer of this serial number answers no question for a string

GET_DESCRIPTOR, GET_CONFIGURATION = (0x80, 6), (0x80, 8)
LANGUAGES = b"\x09\x04"  # English (United States)


def answer_control(setup: bytes, serial: str) -> bytes | None:
    """The answer to a control request of 8 bytes; None is a stall: this device has no such thing."""
    request_type, request, value, _, length = struct.unpack("<BBHHH", setup)
    if (request_type, request) == GET_CONFIGURATION:
        return b"\x01"
    if (request_type, request) == GET_DESCRIPTOR:
        if value >> 8 == STRING and serial == UNREADABLE:
            return None
        return _descriptor(value >> 8, value & 0xFF, serial)[:length]
    return b"" if not request_type & 0x80 else None


def _descriptor(kind: int, index: int, serial: str) -> bytes:
    if kind == 1:
        return DEVICE
    if kind == 2:
        return CONFIGURATION
    text = LANGUAGES if index == 0 else ("", MAKER, NAME, serial)[index].encode("utf-16le")
    return bytes([len(text) + 2, 3]) + text


def testbed_entry(number: int, serial: str) -> str:
    """The device in sysfs and udev, in umockdev's notation. It wants upper-case hex."""
    blob = (DEVICE + CONFIGURATION).hex().upper()
    node = f"bus/usb/001/{number:03d}"
    udev = {
        "DEVTYPE": "usb_device",
        "SUBSYSTEM": "usb",
        "DEVNAME": f"/dev/{node}",
        "BUSNUM": "001",
        "DEVNUM": f"{number:03d}",
        "MAJOR": 189,
        "MINOR": number - 1,
        "PRODUCT": f"{VENDOR:x}/{PRODUCT:x}/100",
        "TYPE": "0/0/0",
    }
    sysfs = {
        "busnum": 1,
        "devnum": number,
        "speed": 12,
        "bConfigurationValue": 1,
        "idVendor": f"{VENDOR:04x}",
        "idProduct": f"{PRODUCT:04x}",
        "serial": serial,
    }
    lines = [f"P: /devices/pci0000:00/0000:00:14.0/usb1/1-{number}", f"N: {node}={blob}"]
    lines += [f"E: {key}={value}" for key, value in udev.items()]
    lines += [f"A: {key}={value}\\n" for key, value in sysfs.items()]
    return "\n".join([*lines, f"H: descriptors={blob}", ""])
