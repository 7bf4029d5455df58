"""What the daemon may rely on, for every printer it can be given: the port `Printer` over each transport."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import qrcode
from PIL import Image

from appliance.adapters.printers import DistantPrinter, Timing, open_apart
from appliance.formats import escpos, printer_profiles
from appliance.ports import Paper, Printer, PrinterStatus, PrintJob, PrintOutcome
from tests.adapters.vusb.bench import Bench
from tests.fakes import printers

CONFIRMING, STATUS_ONLY, MUTE = "TM-T20II", "generic-80", "generic-80-mute"
URL = "https://vault.example.org/#" + "A" * 67
SLIP_DOTS = 1100
SHORT_S = 0.3  # only for what never comes; what does come has as long as a busy machine needs
ANSWER_S = 1.0  # where some answers come and some never do
LONG_S = 10.0


def timing(**short: float) -> Timing:
    return Timing(**{"open_s": LONG_S, "write_s": LONG_S, "answer_s": LONG_S, "confirm_s": LONG_S, **short})


PATIENT = timing()


def job(model: str = CONFIRMING, number: str = "K7-0042", process_id: bytes = b"0001") -> PrintJob:
    profile = printer_profiles.find(model)
    picture = slip_picture(profile.dots(80))
    png = io.BytesIO()
    picture.save(png, "PNG")
    return PrintJob(number, escpos.slip(picture, profile, process_id), png.getvalue(), process_id)


@cache
def slip_picture(width: int) -> Image.Image:
    """A code on a page as long as a slip; a printer does not care for the rest."""
    page = Image.new("1", (width, SLIP_DOTS), 1)
    page.paste(qrcode.make(URL, box_size=8, border=4).get_image().convert("1"), (40, 200))
    return page


@dataclass
class Setup:
    printer: Printer
    jobs: Callable[[], list[bytes]]  # what came out, slip by slip
    received: Callable[[], bytes]  # all that the printer was sent


Connect = Callable[..., Any]  # (behaviour, *arguments, model=, timing=) -> async context manager of a Setup


@asynccontextmanager
async def printer_at(device: str, model: str, timing: Timing) -> AsyncIterator[Printer]:
    """As the daemon has it: what is a device is driven by a process of its own."""
    printer = open_apart(device, printer_profiles.find(model), timing=timing)
    try:
        yield printer
    finally:
        if isinstance(printer, DistantPrinter):
            await printer.close()


@asynccontextmanager
async def over_tcp(
    behaviour: str, *arguments: Any, model: str = CONFIRMING, timing: Timing = PATIENT
) -> AsyncIterator[Setup]:
    async with (
        getattr(printers, behaviour)(*arguments) as machine,
        printer_at(machine.device, model, timing) as printer,
    ):
        yield Setup(printer, lambda: [job.data for job in machine.jobs], lambda: machine.received)


@asynccontextmanager
async def over_serial(
    behaviour: str, *arguments: Any, model: str = CONFIRMING, timing: Timing = PATIENT
) -> AsyncIterator[Setup]:
    machine = getattr(printers, behaviour)(*arguments)
    async with machine.on_pty() as path, printer_at(f"serial://{path}?baud=115200", model, timing) as printer:
        yield Setup(printer, lambda: [job.data for job in machine.jobs], lambda: machine.received)


class HostPrinter:
    """The port, as it works in the host process of a bench."""

    def __init__(self, bench: Bench) -> None:
        self._host = bench.host

    async def status(self) -> PrinterStatus:
        facts = await asyncio.to_thread(self._host.status)
        return PrinterStatus(**{**facts, "paper": Paper(facts["paper"])})

    async def print(self, job: PrintJob) -> PrintOutcome:
        arguments = job.number, job.data.hex(), job.process_id.decode()
        return PrintOutcome(await asyncio.to_thread(self._host.print, *arguments))


def over_usb(bench: Bench) -> Connect:
    @asynccontextmanager
    async def connect(
        behaviour: str, *arguments: Any, model: str = CONFIRMING, timing: Timing = PATIENT
    ) -> AsyncIterator[Setup]:
        bench.device.plug("SN1", behaviour, arguments, True)
        bench.host.use("usb", model, asdict(timing))
        try:
            yield Setup(
                HostPrinter(bench),
                lambda: [bytes.fromhex(job) for job in bench.device.jobs("SN1")],
                lambda: bytes.fromhex(bench.device.received("SN1")),
            )
        finally:
            bench.device.unplug("SN1")

    return connect


def over_files(folder: Path) -> Connect:
    @asynccontextmanager
    async def connect(behaviour: str, model: str = CONFIRMING, timing: Timing = PATIENT) -> AsyncIterator[Setup]:
        def jobs() -> list[bytes]:
            return [path.read_bytes() for path in sorted(folder.glob("*.bin"))]

        async with printer_at(f"file://{folder}", model, timing) as printer:
            yield Setup(printer, jobs, lambda: b"".join(jobs()))

    return connect


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as bench:
        yield bench


@pytest.fixture(params=["tcp", "serial", "usb"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """To a printer that can answer."""
    if request.param == "usb":
        return over_usb(request.getfixturevalue("bench"))
    return {"tcp": over_tcp, "serial": over_serial}[request.param]


@pytest.fixture(params=["tcp", "serial", "usb", "file"])
def connect_any(request: pytest.FixtureRequest, tmp_path: Path) -> Connect:
    if request.param == "usb":
        return over_usb(request.getfixturevalue("bench"))
    return {"tcp": over_tcp, "serial": over_serial, "file": over_files(tmp_path)}[request.param]


async def test_a_fit_printer_prints_the_slip_once_and_to_the_byte(connect_any):
    async with connect_any("ConfirmingPrinter") as setup:
        assert await setup.printer.print(job()) is PrintOutcome.PRINTED
        assert setup.jobs() == [job().data]


async def test_a_fit_printer_is_ready(connect_any):
    async with connect_any("ConfirmingPrinter") as setup:
        status = await setup.printer.status()
        assert status.ready
        assert status.paper is Paper.OK
        assert status.detail.endswith(".")


async def test_slips_sent_together_come_out_one_after_another(connect_any):
    async with connect_any("ConfirmingPrinter") as setup:
        first, second = job(number="A", process_id=b"0001"), job(number="B", process_id=b"0002")
        outcomes = await asyncio.gather(setup.printer.print(first), setup.printer.print(second))
        assert outcomes == [PrintOutcome.PRINTED] * 2
        assert setup.jobs() == [first.data, second.data]


async def test_asking_how_it_is_prints_nothing(connect_any):
    async with connect_any("ConfirmingPrinter") as setup:
        await setup.printer.status()
        assert setup.jobs() == []


@pytest.mark.parametrize("behaviour", ["PaperOutPrinter", "CoverOpenPrinter", "CutterJammedPrinter", "OfflinePrinter"])
async def test_a_printer_that_is_not_fit_refuses_and_gets_no_byte_of_the_slip(connect, behaviour):
    async with connect(behaviour) as setup:
        assert await setup.printer.print(job()) is PrintOutcome.REFUSED
        assert len(setup.received()) == 4 * 3  # four questions


@pytest.mark.parametrize(
    ("behaviour", "paper", "cover_open", "words"),
    [
        ("PaperOutPrinter", Paper.OUT, False, "out of paper"),
        ("PaperLowPrinter", Paper.LOW, False, "nearly used up"),
        ("CoverOpenPrinter", Paper.OK, True, "cover is open"),
        ("CutterJammedPrinter", Paper.OK, False, "cutter is jammed"),
        ("OfflinePrinter", Paper.OK, False, "offline"),
    ],
)
async def test_one_sentence_says_what_is_wrong(connect, behaviour, paper, cover_open, words):
    async with connect(behaviour) as setup:
        status = await setup.printer.status()
        assert (status.reachable, status.paper, status.cover_open) == (True, paper, cover_open)
        assert words in status.detail
        assert status.ready is (behaviour == "PaperLowPrinter")


async def test_a_roll_that_is_nearly_used_up_still_prints(connect):
    async with connect("PaperLowPrinter") as setup:
        assert await setup.printer.print(job()) is PrintOutcome.PRINTED


async def test_status_that_comes_unasked_confuses_nobody(connect):
    async with connect("ChattyPrinter") as setup:
        assert await setup.printer.print(job()) is PrintOutcome.PRINTED
        assert (await setup.printer.status()).ready


async def test_no_word_after_the_slip_is_unknown(connect):
    async with connect("SilentPrinter", timing=timing(confirm_s=SHORT_S)) as setup:
        assert await setup.printer.print(job()) is PrintOutcome.UNKNOWN


async def test_the_word_for_another_slip_is_unknown(connect):
    async with connect("ForgetfulPrinter", timing=timing(confirm_s=SHORT_S)) as setup:
        assert await setup.printer.print(job()) is PrintOutcome.UNKNOWN


async def test_a_printer_that_answers_nothing_is_sent_nothing(connect):
    async with connect("MutePrinter", timing=timing(answer_s=SHORT_S)) as setup:
        assert await setup.printer.print(job()) is PrintOutcome.REFUSED
        assert setup.jobs() == []
        status = await setup.printer.status()
        assert not status.ready
        assert "answers nothing" in status.detail


async def test_a_printer_known_to_be_mute_takes_the_slip_and_a_person_looks(connect):
    async with connect("MutePrinter", model=MUTE) as setup:
        assert (await setup.printer.status()).ready
        assert await setup.printer.print(job(MUTE)) is PrintOutcome.TAKEN


async def test_a_printer_without_confirmation_is_believed_while_it_stays_fit(connect):
    async with connect("SilentPrinter", model=STATUS_ONLY) as setup:
        assert await setup.printer.print(job(STATUS_ONLY)) is PrintOutcome.PRINTED


async def test_a_printer_without_confirmation_that_runs_out_of_paper_in_the_slip_is_unknown(connect):
    async with connect(
        "PaperRunsOutPrinter", model=STATUS_ONLY, timing=timing(answer_s=ANSWER_S, confirm_s=SHORT_S)
    ) as setup:
        assert await setup.printer.print(job(STATUS_ONLY)) is PrintOutcome.UNKNOWN
        assert await setup.printer.print(job(STATUS_ONLY)) is PrintOutcome.REFUSED


@pytest.mark.parametrize("byte", [1, 4096, 30_000])
async def test_a_printer_that_stops_taking_bytes_is_unknown(connect, byte):
    limits = timing(write_s=SHORT_S, confirm_s=SHORT_S, answer_s=ANSWER_S)
    async with connect("JammedPrinter", byte, timing=limits) as setup:
        assert await setup.printer.print(job()) is PrintOutcome.UNKNOWN


async def test_even_a_mute_printer_is_not_believed_when_it_stops_taking_bytes(connect):
    async with connect("JammedPrinter", 10_000, model=MUTE, timing=timing(write_s=SHORT_S)) as setup:
        assert await setup.printer.print(job(MUTE)) is PrintOutcome.UNKNOWN


@pytest.mark.parametrize("byte", [1, 4095, 4096, 50_000, len(job().data)])
async def test_a_printer_that_loses_its_power_in_the_slip_is_unknown(connect, byte):
    limits = timing(write_s=SHORT_S, confirm_s=SHORT_S, answer_s=ANSWER_S)
    async with connect("PrinterThatDiesAt", byte, timing=limits) as setup:
        assert await setup.printer.print(job()) is PrintOutcome.UNKNOWN


@pytest.mark.parametrize(
    "device",
    [
        "tcp://127.0.0.1:1",
        "tcp://" + "x" * 70,
        "serial:///dev/nonexistent",
        "serial:///etc",
        "file:///nonexistent",
        "none",
    ],
)
async def test_a_printer_that_is_not_there_refuses_and_says_so(device):
    async with printer_at(device, CONFIRMING, timing()) as printer:
        assert await printer.print(job()) is PrintOutcome.REFUSED
        status = await printer.status()
        assert not status.reachable
        assert status.detail
