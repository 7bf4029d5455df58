"""A box that takes images over HTTP, and what a sender knows of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.system.harness import Box, run


def settings(*clients: str) -> str:
    return '[dicomweb]\nlisten = ["127.0.0.1:0"]\n' + "".join(
        f'[[dicomweb.client]]\nname = "{name}"\n' for name in clients
    )


@dataclass(frozen=True)
class Sender:
    url: str  # …/dicom-web/SHARE
    token: str

    def curl(self, files: Sequence[Path], *options: str, path: str = "studies") -> tuple[int, Any]:
        """As docs/dicomweb.md shows it; the status and the answer."""
        parts = [word for file in files for word in ("-F", f"file=@{file};type=application/dicom")]
        done = run(
            [
                *("curl", "-sS", "--max-time", "60", "-w", "\n%{http_code}", *options),
                *("-H", f"Authorization: Bearer {self.token}"),
                *("-H", 'Content-Type: multipart/related; type="application/dicom"'),
                *(*parts, f"{self.url}/{path}"),
            ]
        )
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)


def make_token(box: Box, client: str) -> str:
    """With the technician's command; the box must not run yet."""
    box.spool.mkdir(parents=True, exist_ok=True)
    box.write_settings()
    return box.command("peers", "token", client).stdout.strip()


def sender_to(box: Box, token: str) -> Sender:
    assert box.program is not None
    port = box.program.said(r"listening for DICOMweb on 127\.0\.0\.1:(\d+)")[1]
    return Sender(f"http://127.0.0.1:{port}/dicom-web/SHARE", token)
