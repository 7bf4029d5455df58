"""Receipt printers: the port `Printer` over USB, TCP, a serial line, and as files."""

from appliance.adapters.printers.conversation import ConversingPrinter, Timing
from appliance.adapters.printers.distant import DistantPrinter, Patience
from appliance.adapters.printers.factory import open_apart, open_printer
from appliance.adapters.printers.usb_bus import UsbPrinter, list_usb

__all__ = [
    "ConversingPrinter",
    "DistantPrinter",
    "Patience",
    "Timing",
    "UsbPrinter",
    "list_usb",
    "open_apart",
    "open_printer",
]
