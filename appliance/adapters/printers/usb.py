"""A printer on a USB cable, through libusb.

Every job looks the device up anew, so a replugged or restarted printer just works; the device is never reset, as that
makes some printers forget a slip they are about to print. libusb blocks, so each conversation has a thread that waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import usb.core
import usb.util

from appliance.adapters.printers import usb_bus
from appliance.adapters.printers.usb_bus import Wanted, Way
from appliance.errors import PrinterUnreachableError

T = TypeVar("T")

READ_BYTES = 512  # a multiple of every bulk packet size up to high speed, or libusb reports an overflow
LONGEST_CALL_S = 5.0  # in libusb; time-outs there are milliseconds, and 0 would be for ever
READ_SLICE_S = 0.5  # so that a closing transport does not wait long for its thread
GRACE_S = 3.0  # for libusb to give up by itself; then its thread is left behind
EMPTY_PAUSE_S = 0.02  # printers that answer at once with nothing would keep a core busy

HINTS = {
    errno.EACCES: usb_bus.NO_PERMISSION,
    errno.EBUSY: "Another program holds the printer: stop and remove CUPS and ipp-usb on this box.",
    errno.ENODEV: "The printer was unplugged or switched off.",
}


class UsbTransport:
    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._worker: ThreadPoolExecutor | None = None
        self._taken: _Taken | None = None

    async def open(self, within_s: float) -> None:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="usb-printer")
        self._taken = _Taken()
        await self._call(within_s, self._taken.take, self._wanted)

    async def write(self, data: bytes, within_s: float) -> None:
        await self._call(within_s, self._opened().write, data, min(within_s, LONGEST_CALL_S))

    async def read(self, within_s: float) -> bytes:
        return await self._call(within_s, self._opened().read, within_s)

    async def close(self) -> None:
        taken, self._taken = self._taken, None
        if taken and self._worker:
            with contextlib.suppress(PrinterUnreachableError):
                await self._call(LONGEST_CALL_S, taken.give_back)
        if self._worker:
            self._worker.shutdown(wait=False)
            self._worker = None

    def _opened(self) -> _Taken:
        if self._taken is None:
            raise PrinterUnreachableError(f"the printer {self._wanted} is not open")
        return self._taken

    async def _call(self, within_s: float, function: Callable[..., T], *arguments: object) -> T:
        """Run in the thread. Raises PrinterUnreachableError also when libusb itself hangs; its thread is given up."""
        if self._worker is None:
            raise PrinterUnreachableError(f"the printer {self._wanted} is not open")
        running = asyncio.get_running_loop().run_in_executor(self._worker, function, *arguments)
        try:
            return await asyncio.wait_for(running, within_s + GRACE_S)
        except TimeoutError as error:
            self._worker.shutdown(wait=False)
            self._worker = None
            raise PrinterUnreachableError(f"the printer {self._wanted} hangs") from error
        except usb.core.USBError as error:
            hint = HINTS.get(error.errno or 0)
            raise PrinterUnreachableError(f"the printer {self._wanted} fails ({error})", hint=hint) from error


class _Taken:
    """The device while we hold it; used in the transport's thread only. Lets usb.core.USBError through."""

    def __init__(self) -> None:
        self._bus: usb_bus.Bus | None = None
        self._device: Any = None
        self._way: Way
        self._from_kernel = False

    def take(self, wanted: Wanted) -> None:
        self._bus = usb_bus.Bus()
        self._device, self._way = usb_bus.find_printer(self._bus.devices(), wanted)
        self._free_from_kernel()
        self._configure()
        usb.util.claim_interface(self._device, self._way.interface)
        if self._way.alternate:
            self._device.set_interface_altsetting(self._way.interface, self._way.alternate)

    def _free_from_kernel(self) -> None:
        """usblp takes every printer that is plugged in, and then nobody else may."""
        with contextlib.suppress(NotImplementedError):  # systems without kernel drivers to detach
            if self._device.is_kernel_driver_active(self._way.interface):
                self._device.detach_kernel_driver(self._way.interface)
                self._from_kernel = True

    def _configure(self) -> None:
        """Only where nobody has yet: choosing the same configuration again resets the device's endpoints."""
        try:
            chosen = self._device.get_active_configuration().bConfigurationValue
        except usb.core.USBError:
            chosen = 0
        if chosen != self._way.configuration:
            self._device.set_configuration(self._way.configuration)

    def write(self, data: bytes, within_s: float) -> None:
        written = self._device.write(self._way.out_endpoint, data, max(1, int(within_s * 1000)))
        if written != len(data):
            raise PrinterUnreachableError(f"the printer took only {written} of {len(data)} bytes")

    def read(self, within_s: float) -> bytes:
        if self._way.in_endpoint is None:
            time.sleep(min(within_s, READ_SLICE_S))
            return b""
        deadline = time.monotonic() + within_s
        while (left := deadline - time.monotonic()) > 0:
            received = self._read_slice(min(left, READ_SLICE_S))
            if received:
                return received
        return b""

    def _read_slice(self, within_s: float) -> bytes:
        try:
            received = self._device.read(self._way.in_endpoint, READ_BYTES, max(1, int(within_s * 1000)))
        except usb.core.USBTimeoutError:
            return b""
        if not received:
            time.sleep(min(within_s, EMPTY_PAUSE_S))
        return bytes(received)

    def give_back(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            with contextlib.suppress(usb.core.USBError):
                usb.util.release_interface(device, self._way.interface)
            if self._from_kernel:
                with contextlib.suppress(usb.core.USBError):  # it may have been unplugged
                    device.attach_kernel_driver(self._way.interface)
            usb.util.dispose_resources(device)
        del device  # the bus goes last
        if self._bus is not None:
            self._bus.close()
            self._bus = None
