"""Promise 1 and 3 against kill -9: what was acknowledged is safe, and no paper is left in doubt."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from appliance.adapters import control
from tests import escpos_reader
from tests.daemon.house import Image
from tests.fakes.peers import CT, LITTLE, AbortedError, RawPeer
from tests.fakes.printers import ConfirmingPrinter, JammedPrinter
from tests.system.harness import Box, Vault, eventually, open_link

KILLS = 10
RESTART_S = 30.0
OPEN_TO_ALL = 'ae_title = "SHARE"\nquiet_seconds = 3600\nsecond_factor = "none"'


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    vault = Vault(tmp_path_factory.mktemp("vault"))
    vault.start()
    yield vault
    vault.stop()


class Stream:
    """A modality that sends one image after the other, and knows which ones it may forget."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.sent: dict[str, str] = {}  # SHA-256 of the dataset by UID
        self.acknowledged: set[str] = set()

    async def send(self, port: int) -> None:
        """Until the box breaks off."""
        with contextlib.suppress(AbortedError, ConnectionError, asyncio.IncompleteReadError):
            async with await RawPeer.call(port, pdu=131072) as peer:
                while True:
                    size = self._chance.choice([2_000, 60_000, 1_100_000])
                    image = Image(number=len(self.sent) + 1, pixels=self._chance.randbytes(size))
                    self.sent[image.uid] = hashlib.sha256(image.dataset).hexdigest()
                    if (await peer.store(image.dataset, image.uid, CT, LITTLE)).status == 0:
                        self.acknowledged.add(image.uid)

    async def send_until_killed(self, box: Box, after_s: float) -> None:
        sending = asyncio.create_task(self.send(box.port))
        await asyncio.sleep(after_s)  # the moment is the test's subject
        assert box.program is not None
        box.program.process.kill()
        box.program.process.wait()
        await sending


def test_everything_acknowledged_survives_kill_9_and_nothing_torn_appears(vault: Vault, tmp_path: Path) -> None:
    chance = random.Random(11)
    (tmp_path / "slips").mkdir()
    box = Box(tmp_path / "box", f"file://{tmp_path}/slips", profile=OPEN_TO_ALL)
    box.start(vault)
    stream = Stream(seed=4)
    for _ in range(KILLS):
        asyncio.run(stream.send_until_killed(box, chance.uniform(0.02, 0.7)))
        started = time.monotonic()
        box.start()
        assert time.monotonic() - started < RESTART_S
        listed = ask(box, "shares-list")
        assert sum(share["images"] for share in listed) >= len(stream.acknowledged)
        assert "could not be read back" not in box.program.log.read_text()  # type: ignore[union-attr]
    assert len(stream.acknowledged) > KILLS
    try:
        check_opened(box, tmp_path, stream)
    finally:
        box.stop()


def check_opened(box: Box, folder: Path, stream: Stream) -> None:
    """All that was acknowledged comes out as it was sent; what else comes out was sent, too, and is whole."""
    received = eventually(lambda: all_up(box), 60, "everything at the vault")
    (share,) = ask(box, "shares-list")
    story = ask(box, "shares-show", id=share["id"])
    live = [link for link in story["links"] if link["state"] == "active"]
    assert len(live) == 1
    last = story["slips"][-1]["number"]
    link = escpos_reader.decode_qr(Picture.open(folder / "slips" / f"{last}.png"))
    value = eventually(lambda: opened_whole(link, folder / "out", received), 30, "the last manifest")
    found = {hashlib.sha256(dataset(Path(file["path"]))).hexdigest() for file in value["files"]}
    assert found >= {stream.sent[uid] for uid in stream.acknowledged}
    assert found <= set(stream.sent.values())


def opened_whole(link: str, to: Path, received: int) -> Any:
    """What the link opens to; None while the newest manifest is still to come."""
    value = json.loads(open_link(link, to, "").stdout)
    return value if value["written"] == received else None


def all_up(box: Box) -> int | None:
    shares = ask(box, "shares-list")
    (share,) = shares
    done = share["images"] == share["at_vault"] and ask(box, "status")["objects_waiting"] == 0
    slips = ask(box, "slips-list")
    return int(share["images"]) if done and any(slip["state"] == "printed" for slip in slips) else None


def dataset(path: Path) -> bytes:
    from tests.samples import dataset_bytes

    return dataset_bytes(path)


def test_killed_while_a_slip_prints_that_slip_is_dead_and_one_new_one_comes(vault: Vault, tmp_path: Path) -> None:
    asyncio.run(kill_while_printing(vault, tmp_path))


async def kill_while_printing(vault: Vault, folder: Path) -> None:
    async with JammedPrinter() as jammed:
        box = Box(folder / "box", jammed.device, profile=OPEN_TO_ALL)
        await asyncio.to_thread(box.start, vault)
        async with await RawPeer.call(box.port) as peer:
            assert (await peer.store(Image().dataset, Image().uid)).status == 0
        await asyncio.to_thread(eventually, lambda: slip_states(box) == ["printing"], 20, "a slip under way")
        assert box.program is not None
        await asyncio.to_thread(box.program.kill)
    good = ConfirmingPrinter()
    good.port = jammed.port
    async with good:
        await asyncio.to_thread(box.start)
        try:
            (job,) = await good.wait_for_jobs(1)
            await asyncio.to_thread(
                eventually, lambda: slip_states(box) == ["unknown", "printed"], 20, "the new slip confirmed"
            )
            (share,) = await asyncio.to_thread(ask, box, "shares-list")
            story = await asyncio.to_thread(ask, box, "shares-show", id=share["id"])
            assert [link["state"] for link in story["links"]] == ["destroyed", "active"]
            opened = await asyncio.to_thread(open_link, job.link, folder / "out", "")
            assert json.loads(opened.stdout)["written"] == 1
            assert len(good.jobs) == 1
        finally:
            await asyncio.to_thread(box.stop)


def ask(box: Box, command: str, **arguments: str) -> Any:
    """Through the control socket, as the commands do, without a process for each question."""
    return asyncio.run(control.call(box.spool, command, arguments))


def slip_states(box: Box) -> list[str]:
    return [slip["state"] for slip in reversed(ask(box, "slips-list"))]


def test_told_to_stop_while_a_slip_prints_the_box_lets_it_finish(vault: Vault, tmp_path: Path) -> None:
    asyncio.run(stop_while_printing(vault, tmp_path))


class LeisurelyPrinter(ConfirmingPrinter):
    """Confirms when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.answer = b""

    def confirm(self, process_id: bytes) -> bytes:
        self.answer = super().confirm(process_id)
        self.asked.set()
        return b""

    def say_so(self) -> None:
        for line in self._lines:
            line.write(self.answer)


async def stop_while_printing(vault: Vault, folder: Path) -> None:
    async with LeisurelyPrinter() as printer:
        box = Box(folder / "box", printer.device, profile=OPEN_TO_ALL)
        await asyncio.to_thread(box.start, vault)
        async with await RawPeer.call(box.port) as peer:
            assert (await peer.store(Image().dataset, Image().uid)).status == 0
        async with asyncio.timeout(20):
            await printer.asked.wait()
        assert box.program is not None
        box.program.process.terminate()
        asyncio.get_running_loop().call_later(0.3, printer.say_so)
        assert await asyncio.to_thread(box.program.process.wait, 30) == 0
        await asyncio.to_thread(box.start)
        states = await asyncio.to_thread(slip_states, box)
        await asyncio.to_thread(box.stop)
    assert states == ["printed"]
    assert len(printer.jobs) == 1


def test_a_power_cut_amid_recovery_changes_nothing(vault: Vault, tmp_path: Path) -> None:
    """Killed again and again while it takes up what it finds: starting is as safe as running."""
    (tmp_path / "slips").mkdir()
    box = Box(tmp_path / "box", f"file://{tmp_path}/slips", profile=OPEN_TO_ALL)
    box.start(vault)
    stream, chance = Stream(seed=9), random.Random(3)
    asyncio.run(stream.send_until_killed(box, 1.0))
    for _ in range(3):
        box.program = None
        from tests.system.harness import BIN, Program

        program = Program([BIN / "slipway", "run", "--config", box.config], tmp_path / "again.log")
        time.sleep(chance.uniform(0.3, 1.0))  # the moment is the test's subject
        program.kill()
    box.start()
    try:
        check_opened(box, tmp_path, stream)
    finally:
        box.stop()
