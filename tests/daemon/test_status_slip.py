"""The printer as the box's screen: when its slips come out, what they know, and what they never come before."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from appliance.adapters.system import BootMarker
from appliance.daemon import status_slip
from appliance.daemon.printer_watch import PrinterWatch
from appliance.daemon.status_slip import AGAIN_AFTER_S, Machine, Outside, StatusSlips
from appliance.errors import PrinterUnreachableError
from appliance.formats import printer_profiles, slip_bitmap, slip_scanned
from appliance.formats.slip_fonts import FontMissingError
from appliance.formats.slip_scanned import Became, ScannedFace
from appliance.formats.status_slip import StatusFace
from appliance.ports import Paper, PrinterStatus, PrintJob, PrintOutcome
from tests.daemon.conftest import CANARIES, MakeHouse
from tests.daemon.house import House, Image
from tests.escpos_reader import decode_qr
from tests.fakes.slip_printers import READY, GoodPrinter, PaperOutPrinter, SlowPrinter

LOOK_S = 0.02
A_FEW_LOOKS_S = 0.4
FACTS = {
    "version": "0.1.0",
    "site": "St Mary's",
    "ae_titles": ["SHARE"],
    "enrolled": True,
    "vault": "https://v.example",
}


class ButtonPrinter(GoodPrinter):
    """Tells of its feed button, as Epson's do: offline while it is pressed."""

    def __init__(self) -> None:
        super().__init__()
        self.pressed = False

    async def status(self) -> PrinterStatus:
        await super().status()
        return PrinterStatus(True, Paper.OK, False, error=True, feed_button=True) if self.pressed else READY


class Desk(StatusSlips):
    """Remembers what it was about to draw."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.faces: list[StatusFace] = []

    async def _face(self) -> StatusFace:
        self.faces.append(await super()._face())
        return self.faces[-1]


def desk(
    box: House,
    enrolled: Callable[[], bool] = lambda: True,
    watch: PrinterWatch | None = None,
    language: str = "en",
) -> Desk:
    async def status() -> dict[str, Any]:
        return {**await box.operating.command("status", {}), **FACTS}

    async def outside() -> Outside:
        return Outside((("CT1", ""),), vault_reached=True, vault_since=box.clock.now() - 60)

    return Desk(
        box.journal,
        box.printing,
        box.printer,
        watch or box.watch,
        printer_profiles.find("TM-T20II"),
        80,
        language,
        status,
        lambda: Machine("slipway", ("10.20.0.9",), "SHA256:abc", clock=True),
        outside,
        box.clock.monotonic,
        box.clock.now,
        lambda: not enrolled(),
        BootMarker("set-up-slip-is-out", box.folder),
        setup_look_s=LOOK_S,
    )


def numbers(box: House) -> list[str]:
    return [job.number for job in box.printer.jobs]


async def test_a_status_slip_comes_out_when_it_is_asked_for(box: House) -> None:
    slips = desk(box)
    assert await slips.print_status({}) == {"printed": True}
    assert numbers(box) == ["STATUS"]
    (face,) = slips.faces
    assert face.place.ports == ("127.0.0.1:104",)
    assert (face.paper, face.vault, face.echoes) == ("ok", "v.example", (("CT1", ""),))


async def test_it_knows_what_waits_and_nothing_of_a_patient(make_house: MakeHouse) -> None:
    async with make_house() as box:
        box.start("receiving", "printing")
        await box.send(Image(), Image(number=2))
        await box.until_rows("slips", lambda rows: len(rows) == 1, limit=9)
        await box.until(lambda: not box.receiving.behind)
        slips = desk(box)
        await slips.print_status({})
        (face,) = slips.faces
        assert (face.waiting_images, face.slips_waiting) == (2, 1)
        assert face.waiting_bytes > 0
        assert not any(canary in repr(face) for canary in (*CANARIES, "A.C.", "1970"))


async def test_whoever_scans_is_told_in_the_sites_language(box: House) -> None:
    await desk(box, language="ja").print_scanned(ScannedFace(Became.NOTHING_FOUND, "42"))
    assert numbers(box) == ["NOTICE"]
    said = ScannedFace(Became.NOTHING_FOUND, "42", site="St Mary's", language="ja")
    assert box.printer.jobs[0].picture == slip_bitmap.png(slip_scanned.render(said, 576))


async def test_what_is_wrong_stands_on_it_with_what_to_do(box: House) -> None:
    slips = desk(box)
    box.watch.suspect("it has not confirmed 3 slips in a row")
    await slips.print_status({})
    assert any("not confirmed 3 slips" in what and do for what, do in slips.faces[0].wrong)


async def test_a_second_within_ten_seconds_is_a_finger_that_stayed_on_the_button(box: House) -> None:
    slips = desk(box)
    await slips.print_status({})
    assert await slips.print_status({}) == {"printed": False}
    box.clock.advance(AGAIN_AFTER_S)
    assert await slips.print_status({}) == {"printed": True}
    assert numbers(box) == ["STATUS", "STATUS"]


async def test_two_who_ask_at_once_get_one_slip(box: House) -> None:
    slips = desk(box)
    said = await asyncio.gather(slips.print_status({}), slips.print_status({}))
    assert sorted(one["printed"] for one in said) == [False, True]
    assert numbers(box) == ["STATUS"]


async def test_patients_slips_come_first(make_house: MakeHouse) -> None:
    async with make_house(printer=SlowPrinter()) as box:
        box.start("receiving", "linking")
        await box.send(Image(patient="A"), Image(patient="B"))
        await box.until_rows("all_effects", lambda rows: [row["kind"] for row in rows] == ["print-slip"] * 2)
        asked = asyncio.create_task(desk(box).print_status({}))
        await asyncio.sleep(A_FEW_LOOKS_S)
        box.start("printing")
        await box.printer.started.wait()
        box.printer.finish()
        await asked
        assert numbers(box) == ["S-00001", "S-00002", "STATUS"]


async def test_a_slip_that_was_just_refused_is_still_first(make_house: MakeHouse) -> None:
    class RefusesTheFirst(GoodPrinter):
        refused = False

        async def print(self, job: PrintJob) -> PrintOutcome:
            if not self.refused:
                self.refused = True
                return PrintOutcome.REFUSED
            return await super().print(job)

    async with make_house(printer=RefusesTheFirst()) as box:
        box.start("receiving", "linking")
        await box.send(Image())
        await box.until_rows("all_effects", lambda rows: [row["kind"] for row in rows] == ["print-slip"])
        asked = asyncio.create_task(desk(box).print_status({}))
        await asyncio.sleep(A_FEW_LOOKS_S)
        box.start("printing")
        await box.until(lambda: asked.done(), step_s=0.01)
        assert numbers(box) == ["S-00001", "STATUS"]


async def test_a_printer_without_paper_is_said_instead(make_house: MakeHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    async with make_house(printer=PaperOutPrinter()) as box:
        box.start("printing")
        outcome = box.printing.print_aside(PrintJob("STATUS", b"", b"", b"STAT"), within_s=0.2)
        assert await outcome is PrintOutcome.REFUSED
        box.printer.load_paper()
        await asyncio.sleep(A_FEW_LOOKS_S)
        assert numbers(box) == []  # whoever asked has gone

        async def refused(*_: Any) -> PrintOutcome:
            return PrintOutcome.REFUSED

        slips = desk(box)
        box.watch.suspect("its cutter is jammed")
        monkeypatch.setattr(box.printing, "print_aside", refused)
        with pytest.raises(PrinterUnreachableError, match="cutter is jammed"):
            await slips.print_status({})


async def test_a_command_is_not_kept_waiting_for_a_printer_without_paper(make_house: MakeHouse) -> None:
    async with make_house(printer=PaperOutPrinter()) as box:
        with pytest.raises(PrinterUnreachableError, match="out of paper"):
            await asyncio.wait_for(desk(box).print_status({}), 1)


# -- the feed button ---------------------------------------------------------------------------------------------------


async def test_holding_the_feed_button_prints_one_status_slip(make_house: MakeHouse) -> None:
    async with make_house(printer=ButtonPrinter()) as box:
        watch = PrinterWatch(box.printer, look_every_s=LOOK_S, held_s=LOOK_S)
        box.start("printing")
        slips = desk(box, watch=watch)
        tasks = [asyncio.create_task(watch.run()), asyncio.create_task(slips.run())]
        box.printer.pressed = True
        await box.until(lambda: slips.faces)
        await asyncio.sleep(A_FEW_LOOKS_S)
        assert numbers(box) == []  # it feeds
        assert watch.trouble == ""  # and that is no trouble
        box.printer.pressed = False
        await box.until(lambda: box.printer.jobs)
        await asyncio.sleep(A_FEW_LOOKS_S)
        assert numbers(box) == ["STATUS"]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_a_tap_that_feeds_paper_prints_nothing() -> None:
    class Tapped(ButtonPrinter):
        async def status(self) -> PrinterStatus:
            self.pressed = self.asked % 2 == 0
            return await super().status()

    watch = PrinterWatch(printer := Tapped(), look_every_s=LOOK_S, held_s=LOOK_S)
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(A_FEW_LOOKS_S)
    task.cancel()
    await asyncio.wait([task])
    assert printer.asked > 6
    assert not watch.button_held.is_set()


# -- first boot --------------------------------------------------------------------------------------------------------


async def at_work(box: House, slips: StatusSlips) -> None:
    task = asyncio.create_task(slips.run())
    await asyncio.sleep(A_FEW_LOOKS_S)
    task.cancel()
    await asyncio.wait([task])


async def test_a_box_that_is_not_enrolled_prints_once_a_boot_what_to_do(box: House) -> None:
    await at_work(box, desk(box, lambda: False))
    await at_work(box, desk(box, lambda: False))  # the service was restarted
    assert numbers(box) == ["SETUP"]
    assert decode_qr(Picture.open(io.BytesIO(box.printer.jobs[0].picture))) == "ssh://root@10.20.0.9"
    (box.folder / "set-up-slip-is-out").unlink()  # the machine was
    await at_work(box, desk(box, lambda: False))
    assert numbers(box) == ["SETUP", "SETUP"]


async def test_a_set_up_slip_that_cannot_be_drawn_or_noted_ends_nothing_and_costs_one_paper(
    box: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: Any) -> Any:
        raise FontMissingError("no font")

    with monkeypatch.context() as patched:
        patched.setattr(status_slip.status_slip, "setup", missing)
        await at_work(box, desk(box, lambda: False))
    assert numbers(box) == []
    slips = desk(box, lambda: False)
    slips._marker = BootMarker("none", box.folder / "not there")
    await at_work(box, slips)
    assert numbers(box) == ["SETUP"]


async def test_an_enrolled_box_never_prints_it(box: House) -> None:
    await at_work(box, desk(box))
    assert numbers(box) == []
    assert not (box.folder / "set-up-slip-is-out").exists()


async def test_it_waits_for_a_printer(make_house: MakeHouse) -> None:
    async with make_house(printer=PaperOutPrinter()) as box:
        box.start("printing")
        slips = desk(box, lambda: False)
        await at_work(box, slips)
        assert numbers(box) == []
        box.printer.load_paper()
        await at_work(box, slips)
        assert numbers(box) == ["SETUP"]


@pytest.mark.parametrize(
    ("listening", "port"),
    [
        ("0.0.0.0:104", "104"),
        ("[::]:104", "104"),
        (":::104", "104"),
        ("0.0.0.0:2762 (TLS)", "2762 (TLS)"),
        ("10.20.0.9:104", "10.20.0.9:104"),
    ],
)
def test_a_port_is_shown_as_a_modality_needs_it(listening: str, port: str) -> None:
    assert status_slip._port(listening) == port


def test_the_command_to_enrol_names_the_vault_where_the_settings_do(tmp_path: Path) -> None:
    place = status_slip.Place("St Mary's", "en", ("fd00::9",), ("SHARE",), ("104",))
    face = status_slip._setup_face(place, "https://vault.example.org")
    assert face.commands == ("ssh root@fd00::9", "slipway enrol https://vault.example.org CODE")
    assert face.code == "ssh://root@[fd00::9]"
    assert status_slip._setup_face(status_slip.Place("", "en", (), (), ()), "").code == ""
