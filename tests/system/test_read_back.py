"""The real box and vault, a printer and an imager on lines: what is not read back is dead, and another slip comes."""

from __future__ import annotations

import asyncio
import os
import pty
import tty
from pathlib import Path

from PIL import Image

from tests.escpos_reader import decode_qr
from tests.fakes.printers import PausingPrinter
from tests.system.harness import dcmsend, eventually, loop, open_all, open_link
from tests.system.study import Person, ct_series

PERSON = Person()
WITHIN_S = 60.0


class Eye:
    """Does not see the first slip, and reads the others."""

    def __init__(self) -> None:
        self.far, self.near = pty.openpty()
        tty.setraw(self.near)
        self.seen: list[str] = []

    def see(self, picture: Image.Image) -> None:
        self.seen.append(decode_qr(picture))
        if len(self.seen) > 1:
            os.write(self.far, f"{self.seen[-1]}\r\n".encode())

    def close(self) -> None:
        os.close(self.far)
        os.close(self.near)


async def test_a_slip_that_is_not_read_back_is_dead_and_the_next_one_lives(tmp_path: Path) -> None:
    eye, machine = Eye(), PausingPrinter()
    machine.hangs = eye.see
    async with machine.on_pty() as path:
        device = f'serial://{path}?baud=115200"\nimager = "serial://{os.ttyname(eye.near)}'
        await asyncio.to_thread(send_and_open, tmp_path, device, machine, eye)
    eye.close()


def send_and_open(folder: Path, device: str, machine: PausingPrinter, eye: Eye) -> None:
    study = ct_series(folder / "study", 2, PERSON)
    with loop(folder, device) as (_, box):
        dcmsend(box.port, study)
        eventually(lambda: len(machine.jobs) >= 2, WITHIN_S, "two slips out of the printer")
        dead, live = eye.seen
        assert len(open_all(live, folder / "opened", PERSON.birth_date, 2)) == 2
        assert open_link(dead, folder / "nothing", PERSON.birth_date, check=False).returncode == 1
        first, second = (job.picture for job in machine.jobs)
        assert first.height > second.height + 100, "VOID stands below the first"
        states = [slip["state"] for slip in box.ask("slips", "list")]
        assert sorted(states) == ["printed", "unknown"]
