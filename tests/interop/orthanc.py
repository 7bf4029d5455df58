"""Orthanc as a sender (what a PACS does when somebody presses "send"), and as an archive that the box calls."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.interop.senders import CALLED
from tests.system.harness import NotInTimeError, Program, eventually, free_port

WITHIN_S = 60
STARTS = 5


class Orthanc:
    """Its defaults, with everything on loopback and in a folder of ours. It cannot be told to choose its ports."""

    def __init__(self, folder: Path, more: dict[str, Any] | None = None) -> None:
        """`more`: of its settings."""
        folder.mkdir()
        self._folder = folder
        self._more = more or {}
        for _ in range(STARTS):
            self._start()
            if eventually(self._listens_or_ended, WITHIN_S, "Orthanc listens") == "listens":
                return
        raise NotInTimeError("somebody else was always first to take Orthanc's ports")

    def _start(self) -> None:
        self._http, self.port = free_port(), free_port()
        settings = {
            "HttpPort": self._http,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomPort": self.port,
            "StorageDirectory": str(self._folder / "storage"),
            "IndexDirectory": str(self._folder / "storage"),
            "Plugins": [],
            "OverwriteInstances": True,
            **self._more,
        }
        path = self._folder / "orthanc.json"
        path.write_text(json.dumps(settings))
        self._program = Program(["Orthanc", path], self._folder / "orthanc.log")

    def _listens_or_ended(self) -> str | None:
        if self._program.process.poll() is not None:
            return "ended"
        try:
            self.ask("/system")
        except (OSError, http.client.HTTPException):
            return None
        return "listens"

    def stop(self) -> None:
        self._program.stop()

    def ask(self, path: str, body: bytes | dict[str, Any] | None = None, method: str = "") -> Any:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(f"http://127.0.0.1:{self._http}{path}", data, method=method or None)
        with urllib.request.urlopen(request, timeout=WITHIN_S) as response:
            content = response.read()
        return json.loads(content) if content else None

    def knows_box_at(self, port: int) -> None:
        self.ask("/modalities/box", {"AET": CALLED, "Host": "127.0.0.1", "Port": port}, "PUT")

    def holds(self, files: Sequence[Path]) -> None:
        for file in files:
            self.ask("/instances", file.read_bytes())

    def send(self, calling: str, port: int, files: Sequence[Path], *, willing: bool = True) -> None:
        self.knows_box_at(port)
        try:
            ids = [self.ask("/instances", file.read_bytes())["ID"] for file in files]
            self.ask("/modalities/box/store", {"Resources": ids, "LocalAet": calling})
        except urllib.error.HTTPError:
            if willing:
                raise

    def echo(self, port: int) -> None:
        self.knows_box_at(port)
        self.ask("/modalities/box/echo", {})

    def ask_commitment(self, port: int, sop_class: str, sop_instance: str) -> str:
        """The state of the transaction when it has settled as far as it will: Pending, Success or Failure."""
        self.knows_box_at(port)
        asked = {"DicomInstances": [[sop_class, sop_instance]]}
        try:
            transaction = self.ask("/modalities/box/storage-commitment", asked)["ID"]
        except urllib.error.HTTPError as error:
            return f"refused with {error.code}"
        return str(self.ask(f"/storage-commitment/{transaction}")["Status"])
