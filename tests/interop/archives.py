"""DCMTK's archive, dcmqrscp, and what archives hold in tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.system.harness import NotInTimeError, Program, eventually, free_port, run, storescu

WITHIN_S = 30
STARTS = 5


class Dcmqrscp:
    """Knows the box under one AE title only. DCMTK's names are host names, so ours is `localhost`."""

    title = "DCMQR"

    def __init__(self, folder: Path, box_title: str, box_port: int) -> None:
        (folder / "store").mkdir(parents=True)
        self._folder = folder
        for _ in range(STARTS):  # somebody else may be first to take the port, as it cannot be told to choose one
            self.port = free_port()
            self._start(box_title, box_port)
            if eventually(self._answers_or_ended, WITHIN_S, "dcmqrscp answers") == "answers":
                return
        raise NotInTimeError("somebody else was always first to take dcmqrscp's port")

    def _start(self, box_title: str, box_port: int) -> None:
        config = self._folder / "dcmqrscp.cfg"
        config.write_text(
            f"NetworkTCPPort = {self.port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
            f"HostTable BEGIN\nbox = ({box_title}, localhost, {box_port})\nHostTable END\n"
            "VendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\n{self.title} {self._folder / 'store'} RW (200, 1024mb) ANY\nAETable END\n"
        )
        self._program = Program(["dcmqrscp", "-v", "-c", config], self._folder / "dcmqrscp.log")

    def _answers_or_ended(self) -> str | None:
        if self._program.process.poll() is not None:
            return "ended"
        done = run(["echoscu", "-to", "2", "-aec", self.title, "127.0.0.1", str(self.port)], check=False)
        return "answers" if done.returncode == 0 else None

    def holds(self, files: Sequence[Path], *options: str) -> None:
        storescu(self.port, files, *options, called=self.title)

    def stop(self) -> None:
        self._program.stop()
