"""DCMTK's archive, dcmqrscp, and what archives hold in tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.system.harness import Program, eventually, free_port, run, storescu

WITHIN_S = 30


class Dcmqrscp:
    """Knows the box under one AE title only. DCMTK's names are host names, so ours is `localhost`."""

    title = "DCMQR"

    def __init__(self, folder: Path, box_title: str, box_port: int) -> None:
        self.port = free_port()
        (folder / "store").mkdir(parents=True)
        config = folder / "dcmqrscp.cfg"
        config.write_text(
            f"NetworkTCPPort = {self.port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
            f"HostTable BEGIN\nbox = ({box_title}, localhost, {box_port})\nHostTable END\n"
            "VendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\n{self.title} {folder / 'store'} RW (200, 1024mb) ANY\nAETable END\n"
        )
        self._program = Program(["dcmqrscp", "-v", "-c", config], folder / "dcmqrscp.log")
        eventually(self._answers, WITHIN_S, "dcmqrscp answers")

    def _answers(self) -> bool:
        done = run(["echoscu", "-aec", self.title, "127.0.0.1", str(self.port)], check=False)
        return done.returncode == 0

    def holds(self, files: Sequence[Path], *options: str) -> None:
        storescu(self.port, files, *options, called=self.title)

    def stop(self) -> None:
        self._program.stop()
