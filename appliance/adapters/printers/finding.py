"""`slipway printer list`: what is plugged in, on every kind of line, with the words that [printer] wants for it.

Looking sends a printer nothing: an office printer on port 9100 would print any question as a page.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from appliance.adapters.printers.factory import RAW_PORT
from appliance.adapters.printers.usb_bus import UsbPrinter, list_usb
from appliance.errors import SettingsError
from appliance.formats import printer_profiles

SERIAL_BY_ID = Path("/dev/serial/by-id")  # udev's names, which stay the same from boot to boot
LOOK_S = 2.0
ADDRESSES_MAX = 32  # a person's list, not a scan
SHORTEST_MODEL = 4  # characters; shorter names are found in anything


@dataclass(frozen=True)
class Found:
    """One line of the list."""

    device: str  # as [printer] device says it
    kind: str  # usb, serial, network
    maker: str = ""
    name: str = ""
    serial: str = ""
    vendor: int | None = None  # of USB
    product: int | None = None
    model: str = ""  # for [printer] model; "" where nothing tells


def find_local(serial_folder: Path = SERIAL_BY_ID) -> list[Found]:
    """Printers on USB, and serial ports, at each of which may be a printer. Raises PrinterUnreachableError."""
    return [_on_usb(printer) for printer in list_usb()] + _on_serial_lines(serial_folder)


async def find_at(addresses: list[str], port: int = RAW_PORT) -> list[Found]:
    """Those of `addresses` that take connections where printers do. Nothing else on the network is touched.

    Raises SettingsError for what is not one address.
    """
    if len(addresses) > ADDRESSES_MAX:
        raise SettingsError(f"{len(addresses)} addresses are too many", hint=f"Name at most {ADDRESSES_MAX} at a time.")
    for address in addresses:
        if not address or "/" in address or "*" in address or "," in address:
            raise SettingsError(f"{address!r} is not one address", hint="Name printers one by one; nothing is scanned.")
    there = await asyncio.gather(*(_answers(address, port) for address in addresses))
    return [
        Found(_network_device(address, port), "network") for address, here in zip(addresses, there, strict=True) if here
    ]


def fitting_model(name: str) -> str:
    """The profile for a printer that calls itself so; the longest that its name holds. "" where none does."""
    said = _plain(name)
    fitting = [model for model in printer_profiles.models() if len(model) >= SHORTEST_MODEL and _plain(model) in said]
    return max(fitting, key=len, default="")


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _on_usb(printer: UsbPrinter) -> Found:
    return Found(
        printer.device,
        "usb",
        printer.maker,
        printer.name,
        printer.serial,
        printer.vendor,
        printer.product,
        fitting_model(printer.name),
    )


def _on_serial_lines(folder: Path) -> list[Found]:
    if not folder.is_dir():
        return []
    return [Found(f"serial://{path}", "serial", name=path.name) for path in sorted(folder.iterdir())]


def _network_device(address: str, port: int) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"tcp://{host}:{port}"


async def _answers(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(LOOK_S):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError, UnicodeError):
        return False
    writer.transport.abort()
    return True
