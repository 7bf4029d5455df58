"""Runs in the guest: a printer behind the kernel's gadget, the product's own worker before it, and faults between.

`python -m tests.usb_guest.guest SLIP`: SLIP holds a slip's bytes, process id 0001. Says one line of JSON a case.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.adapters.printers import DistantPrinter, Timing, open_apart
from appliance.adapters.printers.distant import Child
from appliance.adapters.printers.usb import UsbTransport
from appliance.adapters.printers.usb_bus import Wanted, list_usb
from appliance.formats import printer_profiles
from appliance.ports import PrintJob
from tests.fakes import printers
from tests.fakes.printers import FakePrinter, PrinterDiedError

PORT = Path("/sys/bus/usb/devices/1-0:1.0/usb1-port1/disable")
PLUGGED_S = 20.0
TIMING = {"open_s": 5.0, "write_s": 5.0, "answer_s": 3.0, "confirm_s": 5.0}
SHORT = {**TIMING, "answer_s": 1.0, "confirm_s": 1.0}
OFFSETS = (1, 511, 8192, 20_000, 40_000, 60_000)


class Gadget:
    """The printer's side of the cable. `machine` is what stands behind it."""

    def __init__(self) -> None:
        self.machine: FakePrinter = printers.ConfirmingPrinter()
        self._node = os.open("/dev/g_printer0", os.O_RDWR | os.O_NONBLOCK)
        self._lock = threading.Lock()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            select.select([self._node], [], [], 0.1)
            with self._lock:
                self._take()

    def _take(self) -> None:
        try:
            data = os.read(self._node, 4096)
        except OSError:  # nothing yet, or nobody at the other end
            return
        try:
            answer = self.machine.receive(data) if data else b""
        except PrinterDiedError:
            self._let_go()
            return
        if answer:
            os.write(self._node, answer)

    def _let_go(self) -> None:
        """Cable or power is gone. The host's port is switched, as Linux 6.1 oopses when a gadget in use is unbound."""
        PORT.write_text("1")

    def unplug(self) -> None:
        with self._lock:
            self._let_go()

    def plug(self, machine: FakePrinter) -> None:
        """Another printer, or the same after its power came back."""
        with self._lock:
            self._let_go()
            self.machine = machine
            until(lambda: not kernel_driver(), PLUGGED_S)
            PORT.write_text("0")
            until(lambda: bool(kernel_driver()), PLUGGED_S)
            self._forget()

    def _forget(self) -> None:
        """What the kernel still held of the time before."""
        while select.select([self._node], [], [], 0.1)[0]:
            try:
                os.read(self._node, 8192)
            except OSError:
                return


def until(so: Callable[[], bool], within_s: float) -> bool:
    end = time.monotonic() + within_s
    while not so():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def kernel_driver() -> list[Path]:
    """Interfaces that usblp has."""
    return list(Path("/sys/bus/usb/drivers/usblp").glob("*:*"))


class Bench:
    def __init__(self, slip: bytes) -> None:
        self.gadget = Gadget()
        self.slip = slip
        self.runner = asyncio.Runner()
        self.printer: DistantPrinter
        self.use()

    def use(
        self, model: str = "TM-T20II", timing: dict[str, float] = TIMING, device: str = "usb:04b8:0e15:SN1"
    ) -> None:
        if hasattr(self, "printer"):
            self.runner.run(self.printer.close())
        printer = open_apart(device, printer_profiles.find(model), timing=Timing(**timing))
        assert isinstance(printer, DistantPrinter)
        self.printer = printer

    def print(self) -> str:
        return self.runner.run(self.printer.print(PrintJob("K7-0042", self.slip, b"", b"0001"))).value

    def status(self) -> str:
        return self.runner.run(self.printer.status()).detail

    def signal_worker(self, number: int) -> None:
        assert isinstance(self.printer._worker, Child)
        assert self.printer._worker._process
        os.kill(self.printer._worker._process.pid, number)

    def good(self) -> dict[str, Any]:
        """Whether a fit printer that is plugged in now gives a slip, and one only."""
        self.use()
        machine = printers.ConfirmingPrinter()
        self.gadget.unplug()
        self.gadget.plug(machine)
        outcome = self.print()
        return {"then": outcome, "slips": len(machine.jobs), "same": [job.data == self.slip for job in machine.jobs]}


def as_in_the_field(bench: Bench) -> dict[str, Any]:
    bound = bool(kernel_driver())
    outcome = bench.print()
    listed = [f"{one.device} {one.maker} {one.name}" for one in list_usb()]
    return {"usblp before": bound, "outcome": outcome, "usblp after": bool(kernel_driver()), "listed": listed}


def dies_at(byte: int) -> Callable[[Bench], dict[str, Any]]:
    def unplugged(bench: Bench) -> dict[str, Any]:
        bench.gadget.plug(printers.PrinterThatDiesAt(byte))
        outcome = bench.print()
        return {"outcome": outcome, "while unplugged": bench.print()}

    return unplugged


def power_cycled_at(byte: int) -> Callable[[Bench], dict[str, Any]]:
    """The power comes back while the box still waits for the printer's word."""

    def cycled(bench: Bench) -> dict[str, Any]:
        bench.gadget.plug(machine := printers.PrinterThatDiesAt(byte))
        back = threading.Thread(
            target=lambda: (until(lambda: machine.died, 20), time.sleep(0.6), bench.gadget.plug(machine))
        )
        back.start()
        outcome = bench.print()
        back.join()
        return {"outcome": outcome}

    return cycled


def with_machine(
    behaviour: str, *arguments: int, model: str = "TM-T20II", timing: dict[str, float] = SHORT
) -> Callable[[Bench], dict[str, Any]]:
    def plugged(bench: Bench) -> dict[str, Any]:
        bench.use(model, timing)
        bench.gadget.plug(getattr(printers, behaviour)(*arguments))
        return {"outcome": bench.print(), "said": bench.status() if "Runs" not in behaviour else ""}

    return plugged


def held_by_another(bench: Bench) -> dict[str, Any]:
    """CUPS or ipp-usb has it: its interface is claimed by another process."""
    holder = UsbTransport(Wanted())
    bench.runner.run(holder.open(5.0))
    outcome, said = bench.print(), bench.status()
    bench.runner.run(holder.close())
    return {"outcome": outcome, "said": said, "once free": bench.print()}


def worker_gets(number: int) -> Callable[[Bench], dict[str, Any]]:
    """A signal in mid-slip."""

    def struck(bench: Bench) -> dict[str, Any]:
        bench.gadget.plug(machine := printers.SilentPrinter())
        bench.status()

        def strike() -> None:
            until(lambda: b"\x1dv0" in machine.received, 20)
            bench.signal_worker(number)

        striker = threading.Thread(target=strike)
        striker.start()
        outcome = bench.print()
        striker.join()
        return {"outcome": outcome}

    return struck


def unplugged_before(bench: Bench) -> dict[str, Any]:
    bench.gadget.unplug()
    return {"outcome": bench.print(), "said": bench.status()}


def cases(slip: bytes) -> dict[str, Callable[[Bench], dict[str, Any]]]:
    return {
        "as in the field": as_in_the_field,
        "held by another program": held_by_another,
        "unplugged before": unplugged_before,
        **{f"unplugged at {byte}": dies_at(byte) for byte in (*OFFSETS, len(slip))},
        **{f"power cycled at {byte}": power_cycled_at(byte) for byte in (*OFFSETS, len(slip))},
        "paper out": with_machine("PaperOutPrinter"),
        "cover open": with_machine("CoverOpenPrinter"),
        "cutter jammed": with_machine("CutterJammedPrinter"),
        "paper runs out in the slip": with_machine("PaperRunsOutPrinter", model="generic-80"),
        "no word after the slip": with_machine("SilentPrinter"),
        "the word for another slip": with_machine("ForgetfulPrinter"),
        "answers nothing": with_machine("MutePrinter"),
        "status that comes unasked": with_machine("ChattyPrinter", timing=TIMING),
        "worker killed in the slip": worker_gets(signal.SIGKILL),
        "worker's deadline in the slip": worker_gets(signal.SIGALRM),
    }


def main() -> None:
    slip = Path(sys.argv[1]).read_bytes()
    until(lambda: bool(kernel_driver()), PLUGGED_S)
    bench = Bench(slip)
    for name, case in cases(slip).items():
        started = time.monotonic()
        try:
            found = {**case(bench), **bench.good()}
        except Exception as error:  # noqa: BLE001 - told to the test, which fails on it
            found = {"error": repr(error)}
        found["seconds"] = round(time.monotonic() - started, 1)
        print(json.dumps([name, found]), flush=True)
    print("END", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
