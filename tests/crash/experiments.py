"""Killing a box at any system call, and failing any of its disk's calls: what it acknowledged is safe in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.crash import inspection
from tests.crash.life import House, Life
from tests.crash.modality import Modality
from tests.crash.plan import Outcome
from tests.crash.syscalls import AIO, GO_ON, KILL, LATER, MAKES, ROOM, SYNCS, WATCHED, WRITES, Call, disk_calls

LULL_S = 0.4  # without a watched call: everything that follows from what was sent has happened
LONGEST_S = 30.0
FULL_S = 1.0  # nothing is to happen while the disk is full
DAMAGED = "could not be read back"  # after a failed disk also of what was refused
BROKEN = "the spool's disk failed"
REFUSED = 0xA700  # PS3.4 table B.2-1: out of resources


class Counter:
    """A verdict on each call that `counts`: the one at `at` gets `answer`, the others go on."""

    def __init__(self, outcome: Outcome, counts: Callable[[Call], bool], answer: int) -> None:
        self._outcome = outcome
        self._counts = counts
        self._answer = answer
        self.last_at = 0.0

    def __call__(self, call: Call) -> int:
        self.last_at = asyncio.get_running_loop().time()
        if not self._counts(call):
            return GO_ON
        self._outcome.calls.append((call.name, Path(call.path).name))
        if len(self._outcome.calls) != self._outcome.plan.at:
            return GO_ON
        self._outcome.reached = True
        return self._answer

    def quiet(self) -> bool:
        return asyncio.get_running_loop().time() - self.last_at > LULL_S


async def kill(house: House, outcome: Outcome) -> None:
    """Killed before the n-th watched call after it was ready: reception, placing, relaying, printing."""
    modality = Modality()
    verdict = Counter(outcome, changes_something, KILL)
    async with Life(house, verdict) as life:
        await modality.send(house.port)
        await life.or_death(lambda: printed(house) and verdict.quiet(), LONGEST_S)
        assert life.dead.is_set() == outcome.reached, "it died by itself, or did not die"
    outcome.acknowledged = len(modality.acknowledged)
    await start_again(house, modality, outcome)
    assert not house.said(DAMAGED)


def printed(house: House) -> bool:
    return any(house.slips.glob("*.png"))


def changes_something(call: Call) -> bool:
    return call.name in WATCHED and not call.only_opens


async def kill_start(house: House, outcome: Outcome) -> None:
    """Killed while it takes up what the life before, killed with everything acknowledged, had not journalled yet."""
    modality = Modality()
    async with Life(house):
        await modality.send(house.port)
    outcome.acknowledged = len(modality.acknowledged)
    assert outcome.acknowledged == len(modality.images)
    verdict = Counter(outcome, changes_something, KILL)
    async with Life(house, verdict, from_birth=True) as life:
        await life.or_death(verdict.quiet, LONGEST_S)
    await start_again(house, modality, outcome)
    assert not house.said(DAMAGED)


async def fail(house: House, outcome: Outcome) -> None:
    """The n-th writing or syncing call on the box's disk fails, once. What it cannot keep it does not acknowledge."""
    await fail_one_of(WRITES + SYNCS + MAKES, house, outcome)


async def fail_later(house: House, outcome: Outcome) -> None:
    """The kernel takes the n-th write or sync of its queue, and tells only later that it failed."""
    await fail_one_of(tuple(AIO.values()), house, outcome, LATER)


async def fail_sync(house: House, outcome: Outcome) -> None:
    """Only the spool's, all of which are worth a try."""
    await fail_one_of(SYNCS, house, outcome, under="spool")


async def fail_one_of(
    names: tuple[str, ...], house: House, outcome: Outcome, how: int = GO_ON, under: str = ""
) -> None:
    modality = Modality()
    verdict = Counter(outcome, disk_calls(names, house.state / under), how or outcome.plan.errno)
    async with Life(house, verdict) as life:
        await modality.send(house.port)
        await life.or_death(lambda: (printed(house) or house.said(BROKEN)) and verdict.quiet(), LONGEST_S)
        outcome.acknowledged, outcome.refused = len(modality.acknowledged), len(modality.refusals)
        if house.said(BROKEN):
            await check_refusal(house, modality)
        elif modality.refusals:  # only by a box that is about to end: its journal failed
            await life.or_death(lambda: False, LONGEST_S)
            assert life.dead.is_set(), modality.refusals
        if life.dead.is_set():
            outcome.notes.append(f"ended {life.status}")
            assert life.status == 1, f"ended with {life.status}"
    if outcome.reached:
        check_no_second_try(outcome)
    await start_again(house, modality, outcome)


async def check_refusal(house: House, modality: Modality) -> None:
    """All that was refused was refused for want of resources; and a spool that is broken stays so and says so."""
    await modality.send_what_is_missing(house.port)
    said = " ".join(one["what"] for one in (await house.ask("status"))["sentences"])
    assert "The spool's disk failed; nothing is accepted." in said, said
    assert {status for status, _ in modality.refusals} == {REFUSED}, modality.refusals
    assert len(modality.acknowledged) + len(modality.refusals) > len(modality.images), "it took more after the failure"


def check_no_second_try(outcome: Outcome) -> None:
    """After a failed sync the kernel may call lost pages clean: another one would succeed and lie."""
    name, file = outcome.calls[outcome.plan.at - 1]
    later = outcome.calls[outcome.plan.at :]
    if name in SYNCS and file.endswith("spool"):
        assert not [call for call in later if call[0] in SYNCS and call[1] == file], f"after {name} of {file}: {later}"


class Full:
    """A verdict: from the n-th call on that takes room, there is none. Until `room`."""

    def __init__(self, outcome: Outcome, house: House) -> None:
        self._counts = disk_calls(ROOM, house.state)
        self._counter = Counter(outcome, self._counts, GO_ON)
        self._outcome = outcome
        self.room = False

    def __call__(self, call: Call) -> int:
        if self.room:
            return GO_ON
        self._counter(call)
        return self._outcome.plan.errno if self._outcome.reached and self._counts(call) else GO_ON

    def quiet(self) -> bool:
        return self._counter.quiet()


async def fill(house: House, outcome: Outcome) -> None:
    """From the n-th call on that takes room there is none, for a while. The box goes on by itself when there is."""
    modality = Modality()
    verdict = Full(outcome, house)
    async with Life(house, verdict) as life:
        await modality.send(house.port)
        await life.or_death(lambda: printed(house) and verdict.quiet(), FULL_S)
        outcome.acknowledged, outcome.refused = len(modality.acknowledged), len(modality.refusals)
        check_waiting(modality, life)
        verdict.room = True
        await go_on(house, modality, life)


def check_waiting(modality: Modality, life: Life) -> None:
    """For room: it refuses as the standard has it, and lives."""
    assert {status for status, _ in modality.refusals} <= {REFUSED}, modality.refusals
    assert not life.dead.is_set(), f"a full disk ended it: {life.status}"


async def go_on(house: House, modality: Modality, life: Life) -> None:
    """There is room again: nobody need do anything."""
    assert await modality.send_what_is_missing(house.port), f"not taken although there is room: {modality.refusals}"
    await inspect_and_end(house, modality, life)


async def start_again(house: House, modality: Modality, outcome: Outcome) -> None:
    async with Life(house) as life:
        outcome.start_s = life.ready_s
        outcome.restarts += 1
        await inspection.listed(house, modality)
        await inspect_and_end(house, modality, life)


async def inspect_and_end(house: House, modality: Modality, life: Life) -> None:
    await inspection.running(house, modality)
    await life.end()
    assert life.status == 0, f"ended with {life.status}"
    inspection.stopped(house, modality)
    assert not house.said("crashed")
    assert not house.said("something unexpected happened")
