"""`slipway pull` at a terminal: how far it is, in place; what Ctrl-C leaves; what a person must choose."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from appliance.adapters.control import ControlServer
from tests.cli.test_shares import completed
from tests.system.harness import BIN, eventually

WITHIN_S = 30
PENDING: dict[str, Any] = {
    "id": 7, "state": "pending", "profile": "SHARE", "asked_by": "ada", "images": 0, "of": 0, "trouble": "", "hint": "",
    "share": "", "held": False, "slips": [], "verdict": "",
}  # fmt: skip
SLIP = {"number": "S-00001", "state": "printed"}
VERDICT = "530 of 530 images, checked with the PACS"
CHOICE = {"study": "1.2.3", "date": "2026-11-21", "modality": "CT", "description": "CT head", "images": 530}


@dataclass
class Box:
    """A service that answers each command with what the test says, the last of it for ever."""

    folder: Path
    answers: dict[str, list[Any]]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def command(self, name: str, arguments: dict[str, Any]) -> Any:
        self.asked.append((name, arguments))
        answers = self.answers[name]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def pull(self, *words: str) -> list[str | Path]:
        return [BIN / "slipway", "pull", *words, "--config", self.folder / "slipway.toml"]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.pull(*words), capture_output=True, text=True, timeout=WITHIN_S, check=False)


MakeBox = Callable[..., Box]


@pytest.fixture
def make_box() -> Iterator[MakeBox]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers: list[ControlServer] = []
    with tempfile.TemporaryDirectory() as name:  # short, as a socket's path has 107 characters at most

        def make(**answers: list[Any]) -> Box:
            folder = Path(name)
            (folder / "slipway.toml").write_text(f'[spool]\npath = "{folder}"\n')
            box = Box(folder, {key.replace("_", "-"): value for key, value in answers.items()})
            servers.append(ControlServer(folder, box.command))
            asyncio.run_coroutine_threadsafe(servers[-1].start(), loop).result(WITHIN_S)
            return box

        yield make
        for server in servers:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(WITHIN_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def under_way(images: int) -> dict[str, Any]:
    return PENDING | {"images": images, "of": 530}


def test_a_terminal_shows_how_far_it_is_and_then_the_slip(make_box: MakeBox) -> None:
    done = PENDING | {"state": "creating", "share": "ab12", "slips": [SLIP], "verdict": VERDICT}
    box = make_box(pull=[PENDING | {"already": False}], pull_show=[under_way(0), under_way(132), done])
    ours, theirs = pty.openpty()
    process = subprocess.Popen(box.pull("--accession", "A1"), stdout=theirs, stdin=theirs)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # the terminal's other side is gone
        pass
    finally:
        os.close(ours)
    assert process.wait(WITHIN_S) == 0
    assert shown.startswith(b"asking the PACS")
    assert b"\r\x1b[K132 of 530 images" in shown
    assert shown.splitlines()[-1].endswith(f"Slip S-00001: {VERDICT}.".encode())


def test_the_shell_completes_requests_that_can_be_taken_back_and_no_id_is_beyond_the_journal(make_box: MakeBox) -> None:
    listed = [{"id": 12, "kind": "pull", "state": "pending"}, {"id": 11, "kind": "pull", "state": "done"}]
    box = make_box(requests_list=[listed])
    words = f"slipway pull cancel --config {box.folder}/slipway.toml 1"
    assert completed(words) == ["12"]
    beyond = box.run("cancel", "9" * 20)
    assert (beyond.returncode, "ID" in beyond.stderr) == (2, True)


def test_what_is_not_a_terminal_gets_the_end_only(make_box: MakeBox) -> None:
    done = PENDING | {"state": "done", "share": "ab12", "slips": [SLIP], "verdict": VERDICT}
    box = make_box(pull=[PENDING | {"already": False}], pull_show=[under_way(0), done])
    said = box.run("--accession", "A1")
    assert (said.returncode, said.stdout, said.stderr) == (0, f"Slip S-00001: {VERDICT}.\n", "")
    assert json.loads(box.run("--accession", "A1", "--json").stdout)["verdict"] == VERDICT


def test_ctrl_c_leaves_it_going_and_says_so(make_box: MakeBox) -> None:
    box = make_box(pull=[PENDING | {"already": False}], pull_show=[under_way(132)])
    # As in a terminal: whoever is started in the background by a script ignores SIGINT, and so would its children.
    at_a_terminal = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command = box.pull("--study", "1.2.3")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=at_a_terminal) as process:
        eventually(lambda: len(box.asked) > 2, WITHIN_S, "it has asked")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 130
    assert "Request 7 goes on by itself: slipway pull list. To end it: slipway pull cancel 7" in out
    assert [name for name, _ in box.asked if name not in ("pull", "pull-show")] == []


def test_of_several_studies_all_are_shown_and_none_is_taken(make_box: MakeBox) -> None:
    box = make_box(pull=[{"choose": [CHOICE | {"patient": "A.C. 1970"}], "why": "which of them? Ask for one"}])
    said = box.run("--patient", "4711")
    assert said.returncode == 1
    assert "1.2.3  2026-11-21  CT        CT head      530     A.C. 1970" in said.stdout
    assert said.stdout.endswith("Which of them? Ask for one.\n")


@pytest.mark.parametrize(
    ("told", "status", "says"),
    [
        ({"state": "failure", "trouble": "the PACS does not know X", "hint": "Add it."}, 1, "the PACS does not know X"),
        ({"state": "cancelled"}, 1, "Request 7: cancelled."),
        ({"held": True, "share": "ab12"}, 0, "Share ab12 waits for a person: slipway shares show ab12"),
    ],
)
def test_what_does_not_end_in_a_slip_is_said(told: dict[str, Any], status: int, says: str, make_box: MakeBox) -> None:
    box = make_box(pull=[PENDING | {"already": False}], pull_show=[PENDING | told])
    said = box.run("--accession", "A1")
    assert (said.returncode, says in said.stdout) == (status, True)


def test_what_is_shared_already_is_not_waited_for(make_box: MakeBox) -> None:
    already = {"already": True, "profile": "SHARE", "share": "ab12", "held": False, "slips": [SLIP], "verdict": VERDICT}
    box = make_box(pull=[already])
    said = box.run("--accession", "A1")
    assert (said.returncode, said.stdout) == (0, "Already shared: share ab12, slip S-00001.\n")


@pytest.mark.parametrize("words", [(), ("--accession", "A1", "--study", "1.2.3")])
def test_one_number_is_given_and_no_more(words: tuple[str, ...], make_box: MakeBox) -> None:
    assert make_box(pull=[PENDING]).run(*words).returncode == 2
