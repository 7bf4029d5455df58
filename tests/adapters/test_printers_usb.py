"""What only USB can do wrong: a real libusb against a virtual device (tests/adapters/vusb)."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from dataclasses import asdict

import pytest
from PIL import Image

from appliance.adapters.printers import usb
from appliance.adapters.printers.usb_bus import Wanted
from appliance.errors import PrinterUnreachableError
from tests import escpos_reader
from tests.adapters.vusb.bench import Bench
from tests.ports.test_printer_port import ANSWER_S, CONFIRMING, SHORT_S, URL, job, timing
from tests.system.harness import eventually

JOB = job()
PRINT = JOB.number, JOB.data.hex(), JOB.process_id.decode()


@pytest.fixture(scope="module")
def started() -> Iterator[Bench]:
    with Bench() as bench:
        yield bench


@pytest.fixture
def bench(started: Bench) -> Iterator[Bench]:
    started.host.use("usb", CONFIRMING, asdict(timing(confirm_s=SHORT_S, answer_s=ANSWER_S)))
    yield started
    started.device.unplug_all()


@pytest.fixture
def bench_in_one(bench: Bench) -> Bench:
    """The adapter in the host process itself, whose open files and threads can be counted."""
    bench.host.use("usb", CONFIRMING, asdict(timing(confirm_s=SHORT_S, answer_s=ANSWER_S)), False)
    return bench


def test_a_printer_that_the_kernels_driver_holds_is_taken_from_it_and_given_back(bench):
    bench.device.plug("SN1", "ConfirmingPrinter", [], True)
    assert bench.host.print(*PRINT) == "printed"
    assert bench.device.kernel_driver("SN1")


def test_a_printer_that_the_kernels_driver_let_alone_is_let_alone_too(bench):
    bench.device.plug("SN1", "ConfirmingPrinter", [], False)
    assert bench.host.print(*PRINT) == "printed"
    assert not bench.device.kernel_driver("SN1")


def test_a_printer_that_another_program_holds_refuses_until_it_lets_go(bench):
    bench.device.plug("SN1", "ConfirmingPrinter", [], False)
    bench.device.hold("SN1", True)
    assert bench.host.print(*PRINT) == "refused"
    assert "CUPS" in bench.host.status()["detail"]
    bench.device.hold("SN1", False)
    assert bench.host.print(*PRINT) == "printed"
    assert len(bench.device.jobs("SN1")) == 1


def test_what_comes_out_of_the_printer_is_the_slips_picture_and_its_code_opens_the_link(bench):
    bench.device.plug("SN1", "ConfirmingPrinter", [], True)
    assert bench.host.print(*PRINT) == "printed"
    (paper,) = escpos_reader.slips(bytes.fromhex(bench.device.jobs("SN1")[0]))
    picture = Image.open(io.BytesIO(JOB.picture))
    assert paper.crop((0, 0, *picture.size)).tobytes() == picture.tobytes()
    assert escpos_reader.decode_qr(paper) == URL


def test_a_printer_is_never_reset(bench):
    bench.device.plug("SN1", "ConfirmingPrinter", [], True)
    bench.host.print(*PRINT)
    bench.host.status()
    assert bench.device.resets("SN1") == 0


def test_a_transfer_that_ends_short_is_noticed(bench):
    bench.device.plug("SN1", "GulpingPrinter", [], True)
    assert bench.host.print(*PRINT) == "unknown"
    questions, gulp = 4 * 3, 1000
    assert bytes.fromhex(bench.device.received("SN1"))[questions:].startswith(JOB.data[:gulp])
    assert len(bytes.fromhex(bench.device.received("SN1"))) < questions + gulp + 100  # and then only what clears it


@pytest.mark.parametrize("byte", [1, 63, 4096, 20_000, 40_001, len(JOB.data) - 1, len(JOB.data)])
def test_unplugged_in_mid_slip_is_unknown_and_plugged_in_again_prints(bench, byte):
    bench.device.plug("SN1", "PrinterThatDiesAt", [byte], True)
    assert bench.host.print(*PRINT) == "unknown"
    bench.device.unplug("SN1")
    assert bench.host.print(*PRINT) == "refused"
    bench.device.plug("SN1", "ConfirmingPrinter", [], True)
    assert bench.host.print(*PRINT) == "printed"
    assert bench.device.jobs("SN1") == [JOB.data.hex()]


def test_a_change_of_printers_that_no_udev_event_tells_of_is_noticed(bench):
    bench.device.plug("SN1", "ConfirmingPrinter", [], True)
    assert bench.host.print(*PRINT) == "printed"
    bench.device.vanish("SN1")
    assert bench.host.print(*PRINT) == "refused"
    bench.device.plug("SN2", "ConfirmingPrinter", [], True)
    assert bench.host.print(*PRINT) == "printed"


def test_of_two_printers_the_settings_must_name_one(bench):
    bench.device.plug("SN1", "ConfirmingPrinter", [], True)
    bench.device.plug("SN2", "ConfirmingPrinter", [], True)
    assert bench.host.print(*PRINT) == "refused"
    assert "usb:04b8:0e15:SN1, usb:04b8:0e15:SN2" in bench.host.status()["detail"]
    bench.host.use("usb:04B8:0E15:SN2", CONFIRMING, asdict(timing()))
    assert bench.host.print(*PRINT) == "printed"
    assert (len(bench.device.jobs("SN1")), len(bench.device.jobs("SN2"))) == (0, 1)


def test_udevs_name_tells_which_of_two_printers_it_is_and_follows_it_to_another_port(bench, tmp_path):
    bench.device.plug("SN1", "ConfirmingPrinter", [], True)
    bench.device.plug("SN2", "ConfirmingPrinter", [], True)
    name = tmp_path / "slipway-printer"
    bench.host.use(f"usb://{name}", CONFIRMING, asdict(timing()))
    assert bench.host.print(*PRINT) == "refused"
    name.symlink_to(bench.device.node("SN2"))
    assert bench.host.print(*PRINT) == "printed"
    bench.device.unplug("SN2")
    bench.device.plug("SN2", "ConfirmingPrinter", [], True)
    assert bench.host.print(*PRINT) == "refused"
    name.unlink()
    name.symlink_to(bench.device.node("SN2"))
    assert bench.host.print(*PRINT) == "printed"
    assert (len(bench.device.jobs("SN1")), len(bench.device.jobs("SN2"))) == (0, 1)


def test_another_printer_than_the_settings_name_is_left_alone(bench):
    bench.device.plug("SN1", "ConfirmingPrinter", [], True)
    for device in ("usb:04b8:0202", "usb:04b8:0e15:SN9"):
        bench.host.use(device, CONFIRMING, asdict(timing()))
        assert bench.host.print(*PRINT) == "refused"
        assert device in bench.host.status()["detail"]


def test_a_serial_number_that_cannot_be_read_is_not_called_an_absent_printer(bench):
    bench.device.plug("unreadable", "ConfirmingPrinter", [], True)
    bench.host.use("usb:04b8:0e15:SN1", CONFIRMING, asdict(timing()))
    assert bench.host.print(*PRINT) == "refused"
    assert "serial number cannot be read" in bench.host.status()["detail"]
    assert bench.host.list() == ["usb:04b8:0e15"]


def test_the_list_shows_each_printer_as_the_settings_want_it(bench):
    assert bench.host.list() == []
    bench.device.plug("SN1", "ConfirmingPrinter", [], True)
    assert bench.host.list() == ["usb:04b8:0e15:SN1 EPSON TM-T20II"]


def no_more(after, before):
    return all(now <= then for now, then in zip(after, before, strict=True))


def test_slip_after_slip_no_file_and_no_thread_is_left_open(bench_in_one):
    bench_in_one.device.plug("SN1", "ConfirmingPrinter", [], True)
    bench_in_one.host.print(*PRINT)
    before = bench_in_one.host.held()
    for _ in range(10):
        assert bench_in_one.host.print(*PRINT) == "printed"
        bench_in_one.host.status()
    eventually(lambda: no_more(bench_in_one.host.held(), before), 10, "no more open than before")


def test_a_printer_that_fails_again_and_again_leaves_nothing_open_either(bench_in_one):
    bench_in_one.host.print(*PRINT)
    before = bench_in_one.host.held()
    for round_ in range(5):
        bench_in_one.device.plug("SN1", "PrinterThatDiesAt", [1000 * round_ + 1], True)
        assert bench_in_one.host.print(*PRINT) == "unknown"
        bench_in_one.device.unplug("SN1")
        assert bench_in_one.host.print(*PRINT) == "refused"
        assert not bench_in_one.host.status()["reachable"]
    eventually(lambda: no_more(bench_in_one.host.held(), before), 10, "no more open than before")


def test_a_worker_that_is_killed_in_mid_slip_is_unknown_and_the_printer_is_free_for_the_next(bench):
    bench.device.plug("SN1", "JammedPrinter", [20_000], True)
    bench.host.kill_in_s(0.3)
    assert bench.host.print(*PRINT) == "unknown"
    bench.device.unplug("SN1")
    bench.device.plug("SN1", "ConfirmingPrinter", [], True)
    assert bench.host.print(*PRINT) == "printed"


async def test_a_libusb_that_hangs_does_not_hang_the_box(monkeypatch):
    awake = threading.Event()

    class Hanging:
        def take(self, wanted: object) -> None:
            awake.wait()

        def give_back(self) -> None: ...

    monkeypatch.setattr(usb, "_Taken", Hanging)
    monkeypatch.setattr(usb, "GRACE_S", 0.05)
    transport = usb.UsbTransport(Wanted())
    with pytest.raises(PrinterUnreachableError, match="hangs"):
        await transport.open(within_s=0.05)
    await transport.close()
    awake.set()
