"""Receipt printers: the port `Printer` over USB, TCP, a serial line, and as files."""

from appliance.adapters.printers.conversation import ConversingPrinter, Timing
from appliance.adapters.printers.factory import open_printer
from appliance.adapters.printers.usb_bus import UsbPrinter, list_usb

__all__ = ["ConversingPrinter", "Timing", "UsbPrinter", "list_usb", "open_printer"]
