"""Whatever the printer does, at whatever byte: never two slips that work, and one within two minutes of its return."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from appliance.formats import printer_profiles
from appliance.formats.envelope import FactorKind
from appliance.formats.printer_profiles import Confirmation
from tests.printing.box import Ear, PrintingBox
from tests.printing.machine import CUT_OFF, TOLD, Fault, Machine
from tests.printing.virtual_time import run

SLIP_BYTES = 5_700  # a little less than a small slip has, so that every fault strikes in it
STAFF_SLIP_BYTES = 1_400  # and of the staff slip behind it
STRIDE = 16
TOLD_WITHIN_S = 5.0
BACK_WITHIN_S = 120.0
OUT = ("printed", "unconfirmed")
SETTLED_S = 40.0  # after the return: answers that are late by 30 s have come as well
LASTS_S = (1.0, 12.0, 45.0, 200.0)  # shorter than any time-out, within the confirmation's, longer, and for long


@dataclass(frozen=True)
class Case:
    fault: Fault
    byte: int
    lasts_s: float
    model: str
    serial: bool
    factor: FactorKind = FactorKind.NONE

    def __str__(self) -> str:
        line = "a serial line" if self.serial else "USB"
        return f"{self.fault} at byte {self.byte} for {self.lasts_s:g} s, {self.model} on {line}, {self.factor}"


def cases(model: str, factor: FactorKind = FactorKind.NONE) -> Iterator[Case]:
    """Every fault at every sixteenth byte of a slip; how long it lasts, and on which line, goes round."""
    struck = SLIP_BYTES + STAFF_SLIP_BYTES * (factor is FactorKind.PIN)
    for at, byte in enumerate(range(0, struck, STRIDE)):
        for number, fault in enumerate(Fault):
            yield Case(fault, byte, LASTS_S[(at + number) % len(LASTS_S)], model, at // 4 % 2 == 1, factor)


async def play(case: Case) -> list[str]:
    """What went wrong; nothing should."""
    machine = Machine(seed=case.byte)
    machine.arm(case.fault, case.byte, case.lasts_s)
    box, ear = PrintingBox(machine, case.model, serial=case.serial, factor=case.factor), Ear()
    logging.getLogger("slipway.printing").addHandler(ear)
    try:
        await box.start()
        await box.open_share()
        await _until_settled(box)
        return [f"{case}: {wrong}" for wrong in await _judge(case, box, ear)]
    finally:
        logging.getLogger("slipway.printing").removeHandler(ear)
        await box.stop()


async def _until_settled(box: PrintingBox) -> None:
    loop, machine = asyncio.get_running_loop(), box.machine
    async with asyncio.timeout(600.0):
        await machine.mended.wait()
    await asyncio.sleep(SETTLED_S)
    if (await box.slips())[-1] == "unconfirmed" and not box.live(loop.time()):
        await box.desk.lost({"number": f"S-{len(await box.slips()):05d}"})  # staff have looked
    if (await box.slips())[-1] not in OUT:
        await asyncio.sleep(max(0.0, machine.mended_at + BACK_WITHIN_S - loop.time()))


async def _judge(case: Case, box: PrintingBox, ear: Ear) -> list[str]:
    machine, now = box.machine, asyncio.get_running_loop().time()
    wrong = []
    if machine.struck_at < 0:
        wrong.append("the fault never struck")
    if machine.letters:
        wrong.append(f"{len(machine.letters)} letters on the paper")
    if twice := box.ever_two_live():
        wrong.append(f"two live slips: {twice}")
    live = box.live(now)
    if len(live) != 1 or live[0].at > machine.mended_at + BACK_WITHIN_S:
        wrong.append(f"{len(live)} live slips after the printer's return: {await box.slips()}")
    if case.factor is FactorKind.PIN:
        wrong += await _judge_pins(case, box)
    soon = machine.struck_at + TOLD_WITHIN_S
    told = any(machine.struck_at <= at <= soon for at, what in ear.heard if "ready again" not in what)
    tells = printer_profiles.find(case.model).real_time
    silent = case.serial and case.fault in CUT_OFF
    if tells and not silent and case.fault in TOLD and case.lasts_s > TOLD_WITHIN_S and not told:
        wrong.append(f"staff heard nothing within {TOLD_WITHIN_S:g} s of {machine.struck_at:.1f}: {ear.heard}")
    return wrong


async def _judge_pins(case: Case, box: PrintingBox) -> list[str]:
    """The newest slip's PIN is on a staff slip, and none is on the same paper as a code that a phone reads.

    Of what a printer that proves nothing has lost nobody can know but staff, who have `slips pin`.
    """
    number = f"S-{len(await box.slips()):05d}"
    pin = (await box.desk.pin({"number": number}))["pin"]
    known = f"{number} {pin}" in box.told() or printer_profiles.find(case.model).confirmation is Confirmation.NONE
    wrong = [] if known else [f"nobody was told the PIN of {number}: {box.told()}"]
    return wrong + [f"a PIN on the patient's paper: {said}" for said in box.told_on_patients_paper()]


def play_all(played: list[Case]) -> None:
    wrong = [what for case in played for what in run(play(case))]
    assert not wrong, f"{len(wrong)} of {len(played)}:\n" + "\n".join(wrong[:10])


# Steps that share no factor with the number of faults: every byte, every fault and every while come up.
SAMPLE = {"TM-T20II": 3, "generic-80": 13, "generic-80-gs-r": 31, "generic-80-mute": 31}
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("model", SAMPLE)
def test_no_fault_in_a_slip_gives_two_live_slips_or_none(model: str, part: int) -> None:
    play_all(list(cases(model))[:: SAMPLE[model]][part::PARTS])


def test_the_sample_is_large_enough_and_leaves_no_byte_and_no_fault_out() -> None:
    sample = [case for model, step in SAMPLE.items() for case in list(cases(model))[::step]]
    confirming = [case for case in sample if case.model == "TM-T20II"]
    assert len(confirming) >= 500
    assert {case.byte for case in confirming} == set(range(0, SLIP_BYTES, STRIDE))
    assert {(case.model, case.fault) for case in sample} == {(model, fault) for model in SAMPLE for fault in Fault}
    assert {(case.fault, case.lasts_s) for case in confirming} == {(f, s) for f in Fault for s in LASTS_S}


PIN_SAMPLE = {"TM-T20II": 23, "generic-80": 61, "generic-80-gs-r": 83, "generic-80-mute": 83}


@pytest.mark.parametrize("model", PIN_SAMPLE)
def test_with_a_pin_no_fault_leaves_a_slip_without_its_staff_slip_or_both_on_one_paper(model: str) -> None:
    play_all(list(cases(model, FactorKind.PIN))[:: PIN_SAMPLE[model]])


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("model", PIN_SAMPLE)
def test_with_a_pin_no_fault_between_the_two_papers_leaves_a_slip_without_its_staff_slip(model: str) -> None:
    play_all([case for case in cases(model, FactorKind.PIN) if case.byte > SLIP_BYTES - STAFF_SLIP_BYTES])


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("model", SAMPLE)
def test_no_fault_at_any_sixteenth_byte_gives_two_live_slips_or_none(model: str) -> None:
    play_all(list(cases(model)))
