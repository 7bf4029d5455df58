"""Runs the real programs as separate processes for system tests and the demo: vault, box, senders.

Everything listens on loopback, on ports that the programs choose; only what was started here is ended here.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

BIN = Path(sys.executable).parent
START_S = 30.0
T = TypeVar("T")


class NotInTimeError(AssertionError):
    pass


def eventually(probe: Callable[[], T | None], within_s: float, what: str) -> T:
    """The first answer of `probe` that is not None or False."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        value = probe()
        if value is not None and value is not False:
            return value
        time.sleep(0.05)
    raise NotInTimeError(f"not within {within_s:g} s: {what}")


class Program:
    """One process whose stderr goes to a file that can be searched."""

    def __init__(self, command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )

    def said(self, pattern: str, within_s: float = START_S) -> re.Match[str]:
        """Wait for a line that matches."""

        def look() -> re.Match[str] | None:
            match = re.search(pattern, self.log.read_text(errors="replace"))
            if match is None and self.process.poll() is not None:
                raise AssertionError(f"{self.log.name} ended: {self.log.read_text(errors='replace')[-2000:]}")
            return match

        return eventually(look, within_s, f"{pattern!r} in {self.log.name}")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class Vault:
    folder: Path
    public_url: str = ""
    extra: str = ""  # more of [http], TOML
    port: int = 0
    program: Program | None = None

    @property
    def config(self) -> Path:
        return self.folder / "vault.toml"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, clock: str = "") -> None:
        """Start, or start again on the same port; `clock` as faketime takes it, such as "+8d"."""
        self.folder.mkdir(parents=True, exist_ok=True)
        port = self.port or free_port()
        self.port = port
        self.config.write_text(
            f"""
[http]
listen = "127.0.0.1:{port}"
public_url = "{self.url}"
{self.extra}
[database]
url = "sqlite:///{self.folder}/ledger.db"
[objects]
url = "file://{self.folder}/objects"
"""
        )
        faked = {"LD_PRELOAD": str(faketime_library()), "FAKETIME": clock} if clock else {}
        command = [BIN / "slipway-vault", "serve", "--config", self.config]
        self.program = Program(command, self.folder / "vault.log", faked)
        self.program.said(r"listening on http://\S+")

    def stop(self) -> None:
        if self.program is not None:
            self.program.stop()

    def command(self, *words: str) -> str:
        return run([BIN / "slipway-vault", *words, "--config", self.config]).stdout

    def enrol_code(self, name: str = "box") -> str:
        value: dict[str, Any] = json.loads(self.command("enrol-code", name, "--json"))
        return str(value["code"])


@dataclass
class Box:
    folder: Path
    printer: str
    extra: str = ""  # more settings, TOML
    profile: str = 'ae_title = "SHARE"\nquiet_seconds = 2'
    unknown_peers: str = "accept"
    site: str = "St Mary's Radiology"
    port: int = 0
    program: Program | None = None

    @property
    def config(self) -> Path:
        return self.folder / "slipway.toml"

    @property
    def spool(self) -> Path:
        return self.folder / "state"

    def write_settings(self) -> None:
        self.spool.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            f"""
[site]
name = "{self.site}"
[dicom]
listen = ["127.0.0.1:{self.port}"]
unknown_peers = "{self.unknown_peers}"
[[profile]]
{self.profile}
[printer]
device = "{self.printer}"
[spool]
path = "{self.spool}"
spare_files = 0
{self.extra}
"""
        )

    def start(self, vault: Vault | None = None) -> None:
        """Write the settings, enrol with `vault` where one is given, and run."""
        self.port = self.port or free_port()
        self.write_settings()
        if vault is not None:
            self.command("enrol", vault.url, vault.enrol_code())
        self.program = Program([BIN / "slipway", "run", "--config", self.config], self.folder / "box.log")
        self.program.said(r"listening for DICOM on \S+")

    def stop(self) -> None:
        if self.program is not None:
            self.program.stop()

    def command(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run([BIN / "slipway", *words, "--config", self.config], check=check)

    def ask(self, *words: str) -> Any:
        return json.loads(self.command(*words, "--json", check=False).stdout)


def faketime_library() -> Path:
    """Preloaded and not wrapped: a wrapper would be ended in the program's place."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


def run(command: Sequence[str | Path], *, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}\nexit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def open_link(link: str, to: Path, factor: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run([BIN / "slipway", "open", link, "--to", to, "--factor", factor, "--json"], check=check)


def open_all(link: str, to: Path, factor: str, count: int) -> list[Path]:
    """Open the link until all is there; the files."""

    def try_once() -> list[Path] | None:
        done = open_link(link, to, factor, check=False)
        files = [Path(file["path"]) for file in json.loads(done.stdout)["files"]] if done.returncode == 0 else []
        return files if len(files) == count else None

    return eventually(try_once, 60, f"{count} images behind the link")


def dcmsend(port: int, files: Sequence[Path], *, called: str = "SHARE", calling: str = "CT1") -> None:
    """DCMTK's sender as installed: Nagle on, one association."""
    run(["dcmsend", "-q", "-aet", calling, "-aec", called, "127.0.0.1", str(port), *files], timeout=300)


def storescu(port: int, files: Sequence[Path], *options: str, called: str = "SHARE", calling: str = "CT1") -> None:
    """DCMTK's older sender; proposes what `options` say."""
    run(["storescu", "-q", *options, "-aet", calling, "-aec", called, "127.0.0.1", str(port), *files], timeout=300)


def pynetdicom_storescu(port: int, files: Sequence[Path], *, called: str = "SHARE", calling: str = "CT1") -> None:
    """pynetdicom's sample sender, in a process of its own."""
    for file in files:
        command = [sys.executable, "-W", "ignore", "-m", "pynetdicom", "storescu", "-q", "-aet", calling]
        run([*command, "-aec", called, "127.0.0.1", str(port), file, "-cx"], timeout=300)


def free_port() -> int:
    """Below those that the kernel gives to connections, so that none of them has it when a program comes to listen."""
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def loop(folder: Path, printer: str = "", **box_settings: Any) -> Iterator[tuple[Vault, Box]]:
    """A vault and a box enrolled with it. The printer writes files to `folder`/slips unless one is named."""
    vault = Vault(folder / "vault")
    box = Box(folder / "box", printer or f"file://{folder / 'slips'}", **box_settings)
    (folder / "slips").mkdir(parents=True, exist_ok=True)
    try:
        vault.start()
        box.start(vault)
        yield vault, box
    finally:
        box.stop()
        vault.stop()
