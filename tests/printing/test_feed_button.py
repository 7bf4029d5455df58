"""A finger on the printer's feed button, in virtual time and over the whole conversation."""

from __future__ import annotations

import asyncio

from appliance.daemon.printer_watch import HELD_S, LOOK_EVERY_S
from tests.printing.box import PrintingBox
from tests.printing.test_staff import PRINTS_WITHIN_S, in_box

HOLD_S = LOOK_EVERY_S + HELD_S + 1.0


async def hold(box: PrintingBox, seconds: float) -> None:
    box.machine.button_pressed = True
    await asyncio.sleep(seconds)
    box.machine.button_pressed = False


def test_a_button_that_is_held_is_noticed_and_is_no_trouble() -> None:
    async def story(box: PrintingBox) -> None:
        await hold(box, HOLD_S)
        assert box.watch.button_held.is_set()
        assert box.watch.trouble == ""

    in_box(story)


def test_a_button_that_is_tapped_only_feeds_paper() -> None:
    async def story(box: PrintingBox) -> None:
        for _ in range(20):
            await hold(box, HELD_S * 0.9)
            await asyncio.sleep(LOOK_EVERY_S * 0.37)
        assert not box.watch.button_held.is_set()

    in_box(story)


def test_the_printer_that_is_fed_by_hand_says_so() -> None:
    async def story(box: PrintingBox) -> None:
        box.machine.button_pressed = True
        status = await box.watch.look()
        assert not status.ready
        assert status.detail == "The printer's feed button is pressed."

    in_box(story)


def test_a_slip_waits_for_the_finger_to_go() -> None:
    async def story(box: PrintingBox) -> None:
        box.machine.button_pressed = True
        await box.open_share()
        await asyncio.sleep(PRINTS_WITHIN_S)
        assert box.papers() == []
        box.machine.button_pressed = False
        await asyncio.sleep(PRINTS_WITHIN_S)
        assert await box.slips() == ["printed"]

    in_box(story)
