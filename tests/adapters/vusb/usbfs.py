"""The kernel's side of usbdevfs for one virtual printer: libusb's ioctls in, URBs finished.

Runs only in the device process (`device`), under umockdev. Numbers are those of linux/usbdevice_fs.h on 64 bits.
"""

from __future__ import annotations

import errno
import struct
import sys
from collections import deque
from dataclasses import dataclass
from typing import Any

from tests.adapters.vusb import descriptors
from tests.adapters.vusb.umockdev import UMockdev
from tests.fakes.printers import FakePrinter, PrinterDiedError

GET_CAPABILITIES, CLAIM, RELEASE, SUBMIT = 0x8004551A, 0x8004550F, 0x80045510, 0x8038550A
DISCARD, REAP, REAP_NO_DELAY = 0x550B, 0x4008550C, 0x4008550D
SET_CONFIGURATION, SET_INTERFACE, GET_DRIVER, CLEAR_HALT = 0x80045505, 0x80085504, 0x41045508, 0x80045515
RESET, DISCONNECT_CLAIM, DRIVER_IOCTL = 0x5514, 0x8108551B, 0xC0105512
CONNECT = 0x5517  # a command within DRIVER_IOCTL, as is DISCONNECT
CAPABILITIES = 0x01 | 0x04 | 0x10  # zero packets, no packet size limit, reap after disconnect
CONTROL, BULK = 2, 3
SETUP_BYTES = 8
# Where things are in struct usbdevfs_urb, bytes
STATUS_AT, BUFFER_AT, LENGTH_AT, ACTUAL_AT = 4, 16, 24, 28
COMMAND_AT = 4  # in struct usbdevfs_ioctl


@dataclass
class Urb:
    memory: Any  # of the struct, in the client
    buffer: Any
    kind: int
    endpoint: int
    length: int


class PluggedPrinter(UMockdev.IoctlBase):
    """A printer between being plugged in and being pulled out."""

    def __init__(self, machine: FakePrinter, serial: str, *, busy: bool) -> None:
        super().__init__()
        self.machine = machine
        self.serial = serial
        self.kernel_driver = busy  # usblp has it
        self.held = False  # another program has it
        self.gone = False
        self.resets = 0
        self._waiting: list[Urb] = []
        self._finished: deque[tuple[Urb, int, int]] = deque()
        self._answers: deque[bytes] = deque()

    def do_handle_ioctl(self, client: Any) -> bool:
        """Every ioctl gets an answer, or the client hangs; so nothing may be raised from here."""
        try:
            self._handle(client, client.get_request())
        except Exception as error:  # noqa: BLE001
            print(f"usbfs: {error!r}", file=sys.stderr, flush=True)
            client.complete(-1, errno.EIO)
        return True

    def _handle(self, client: Any, request: int) -> None:
        if self.gone and request not in (DISCARD, REAP, REAP_NO_DELAY):
            client.complete(-1, errno.ENODEV)
            return
        argument = client.get_arg()
        size = (request >> 16) & 0x3FFF
        memory = argument.resolve(0, size) if size else None
        match request:
            case _ if request == SUBMIT:
                self._submit(memory)
                client.complete(0, 0)
            case _ if request in (REAP, REAP_NO_DELAY):
                self._reap(client, memory)
            case _ if request == DISCARD:
                self._discard(client, struct.unpack("<Q", bytes(argument.retrieve()))[0])
            case _:
                client.complete(*self._simple(request, memory))

    def _simple(self, request: int, memory: Any) -> tuple[int, int]:
        """Requests about the device as a whole; result and errno."""
        if request == GET_CAPABILITIES:
            memory.update(0, struct.pack("<I", CAPABILITIES))
        elif request == GET_DRIVER:
            if not self.kernel_driver:
                return -1, errno.ENODATA
            memory.update(4, b"usblp\0")
        elif request == DRIVER_IOCTL:
            self.kernel_driver = struct.unpack_from("<i", bytes(memory.retrieve()), COMMAND_AT)[0] == CONNECT
        elif request == DISCONNECT_CLAIM:
            self.kernel_driver = False
        elif request == CLAIM and (self.kernel_driver or self.held):
            return -1, errno.EBUSY
        elif request == RESET:
            self.resets += 1
        elif request not in (CLAIM, RELEASE, SET_CONFIGURATION, SET_INTERFACE, CLEAR_HALT):
            return -1, errno.ENOTTY
        return 0, 0

    def _submit(self, memory: Any) -> None:
        urb = bytes(memory.retrieve())
        length = struct.unpack_from("<i", urb, LENGTH_AT)[0]
        self._waiting.append(Urb(memory, memory.resolve(BUFFER_AT, length), urb[0], urb[1], length))

    def _discard(self, client: Any, address: int) -> None:
        for urb in self._waiting:
            if urb.memory.client_addr == address:
                self._waiting.remove(urb)
                self._finished.append((urb, -errno.ENOENT, 0))
                client.complete(0, 0)
                return
        client.complete(-1, errno.EINVAL)

    def _reap(self, client: Any, memory: Any) -> None:
        self._work()
        if not self._finished:
            client.complete(-1, errno.ENODEV if self.gone else errno.EAGAIN)
            return
        urb, status, actual = self._finished.popleft()
        urb.memory.update(STATUS_AT, struct.pack("<i", status))
        urb.memory.update(ACTUAL_AT, struct.pack("<i", actual))
        memory.set_ptr(0, urb.memory)
        client.complete(0, 0)

    def _work(self) -> None:
        """Finish what can be finished; the rest waits, as on a printer that takes or says nothing."""
        for urb in list(self._waiting):
            done = (-errno.ESHUTDOWN, 0) if self.gone else self._transfer(urb)
            if done is not None:
                self._waiting.remove(urb)
                self._finished.append((urb, *done))

    def _transfer(self, urb: Urb) -> tuple[int, int] | None:
        if urb.kind == CONTROL:
            return self._control(urb)
        if urb.endpoint == descriptors.OUT_ENDPOINT and self.machine.taking:
            return self._take(urb)
        if urb.endpoint == descriptors.IN_ENDPOINT and self._answers:
            answer = self._answers.popleft()
            urb.buffer.update(0, answer)
            return 0, len(answer)
        return None

    def _control(self, urb: Urb) -> tuple[int, int]:
        setup = bytes(urb.buffer.retrieve())[:SETUP_BYTES]
        answer = descriptors.answer_control(setup, self.serial)
        if answer is None:
            return -errno.EPIPE, 0
        if answer:
            urb.buffer.update(SETUP_BYTES, answer)
        return 0, len(answer) or urb.length - SETUP_BYTES

    def _take(self, urb: Urb) -> tuple[int, int]:
        try:
            taken = bytes(urb.buffer.retrieve())[: self.machine.gulp]
            answer = self.machine.receive(taken)
        except PrinterDiedError:
            self.gone = True
            return -errno.ESHUTDOWN, 0
        if answer:
            self._answers.append(answer)
        return 0, len(taken)
