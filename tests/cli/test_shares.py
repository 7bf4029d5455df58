"""Held shares in a terminal: both versions side by side, and what staff may say of them."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.cli import output
from appliance.cli.held import held_lines
from tests.cli.test_commands import complains, slipway
from tests.daemon.house import Image
from tests.fakes.peers import RawPeer
from tests.system.harness import BIN, Box, eventually

NAMES = "STONE^BEN", "STONE^BENN"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Without a vault and a printer: what is decided on the box is decided without them."""
    box = Box(tmp_path_factory.mktemp("held") / "box", "none")
    try:
        box.start()
        yield box
    finally:
        box.stop()


@pytest.fixture
def in_doubt(box: Box) -> tuple[str, str]:
    """Ids of an open share, and of one that is held beside it."""
    before = {share["id"] for share in ask(box, "list")}
    patient = f"P{len(before)}{len(before)}X{len(before)}"
    several = [Image(study=f"{len(before)}.{n}", name=name, patient_id=patient) for n, name in enumerate(NAMES, 1)]
    asyncio.run(_send(box.port, several))
    found = eventually(lambda: _new(box, before), 20, "both shares")
    return found[0]["id"], found[1]["id"]


async def _send(port: int, several: list[Image]) -> None:
    async with await RawPeer.call(port) as peer:
        for image in several:
            assert (await peer.store(image.dataset, image.uid)).status == 0
        await peer.release()


def _new(box: Box, before: set[str]) -> list[dict[str, Any]] | None:
    found = [share for share in ask(box, "list") if share["id"] not in before]
    return sorted(found, key=lambda share: share["state"], reverse=True) if len(found) == 2 else None


def ask(box: Box, command: str, **arguments: Any) -> Any:
    """Without the seconds that a command of its own takes to start."""
    return output.ask(box.config, f"shares-{command}", **arguments)


def state(box: Box, share: str) -> str:
    return str(ask(box, "show", id=share)["state"])


def run(box: Box, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return slipway("shares", *words, "--config", box.config, stdin=stdin)


def test_a_held_share_is_shown_beside_the_other_with_what_can_be_done(box: Box, in_doubt: tuple[str, str]) -> None:
    other, held = in_doubt
    said = run(box, "show", held).stdout
    (name,) = [line for line in said.splitlines() if "Patient's Name" in line]
    assert [part.strip() for part in name.split("  ") if part.strip()] == [
        "Patient's Name",
        "STONE^BENNA",
        "STONE^BENA",
        "≠",
    ]
    assert said.count("≠") == 1
    assert f"share {other}, open" in said
    for decision in ("--same-person", "--two-people", "--discard"):
        assert f"slipway shares resolve {held} {decision}" in said
    listed = run(box, "list", "--held").stdout
    assert "a person to resolve it" in listed
    assert "STONE" not in listed


def test_the_same_person_is_told_that_no_second_slip_comes(box: Box, in_doubt: tuple[str, str]) -> None:
    other, held = in_doubt
    done = run(box, "resolve", held, "--same-person", "--why", "asked her")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Its images are in share {other} now; no second slip is printed.")
    assert ask(box, "show", id=other)["images"] == 2


def test_what_was_decided_wrongly_is_taken_back(box: Box, in_doubt: tuple[str, str]) -> None:
    _, held = in_doubt
    assert json.loads(run(box, "resolve", held, "--two-people", "--json").stdout)["state"] == "open"
    assert "opens nothing any more" in run(box, "hold", held, "--why", "it is one person").stdout
    assert ask(box, "show", id=held)["held"]["because"] == "it was taken back: it is one person"
    assert run(box, "release", held).stdout.startswith("It goes out.")


def test_a_discard_is_asked_about_first(box: Box, in_doubt: tuple[str, str]) -> None:
    _, held = in_doubt
    assert run(box, "resolve", held, "--discard", stdin="n\n").returncode == 1
    assert state(box, held) == "held"
    assert run(box, "resolve", held, "--discard", "--yes").returncode == 0
    assert state(box, held) == "revoked"
    complains(run(box, "resolve", held, "--two-people"), 1, "only a held one is resolved")


@pytest.mark.parametrize("words", [(), ("--same-person", "--discard")])
def test_one_decision_is_given(box: Box, words: tuple[str, ...]) -> None:
    done = run(box, "resolve", "00000000", *words)
    assert done.returncode == 2
    assert "--two-people" in done.stderr


def test_in_a_terminal_both_are_shown_and_the_decision_is_asked_for(box: Box, in_doubt: tuple[str, str]) -> None:
    _, held = in_doubt
    assert "Decide (same, two, discard, nothing)" in in_terminal(box, held, "\n")
    assert state(box, held) == "held"
    said = in_terminal(box, held, "two\n")
    assert "STONE^BENNA" in said
    assert state(box, held) == "open"


def in_terminal(box: Box, share: str, answer: str) -> str:
    ours, theirs = pty.openpty()
    words = [BIN / "slipway", "shares", "resolve", share, "--config", box.config]
    os.write(ours, answer.encode())
    try:
        done = subprocess.run(words, stdin=theirs, capture_output=True, text=True, timeout=60, check=False)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- the shell ---------------------------------------------------------------------------------------------------------


def completed(words: str) -> list[str]:
    environment = {
        "_SLIPWAY_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    done = subprocess.run(
        [BIN / "slipway"], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_the_shell_completes_ids_of_shares(box: Box, in_doubt: tuple[str, str]) -> None:
    _, held = in_doubt
    assert completed(f"slipway shares resolve --config {box.config} {held[:3]}") == [held]
    assert set(completed(f"slipway shares show --config {box.config} ")) >= set(in_doubt)


def test_without_a_box_the_shell_completes_nothing_and_says_nothing(tmp_path: Path) -> None:
    started = time.monotonic()
    stopped = Box(tmp_path / "box", "none")
    stopped.write_settings()
    assert completed(f"slipway shares show --config {stopped.config} ") == []
    assert completed(f"slipway shares show --config {tmp_path}/nothing.toml ") == []
    assert time.monotonic() - started < 20


# -- how it looks ------------------------------------------------------------------------------------------------------


def held_share(*sides: tuple[str, str, str, bool], **facts: Any) -> dict[str, Any]:
    rows = [{"attribute": a, "here": b, "other": c, "differs": d} for a, b, c, d in sides]
    held = {"doubt": "x", "waits_for": [], "other": {"id": "ab", "state": "open"}, "sides": rows} | facts
    return {"id": "cd", "held": held}


def test_columns_stand_under_each_other_whatever_the_script() -> None:
    lines = [*held_lines(held_share(("Name", "山田^太郎", "Yamada", True), ("Sex", "", "F", False)))]
    table = lines[1:4]
    assert table[1] == "  Name  山田^太郎   Yamada          ≠"
    assert table[2] == "  Sex   -           F"


def test_what_would_move_the_cursor_is_not_shown() -> None:
    text = "\n".join(held_lines(held_share(("Name", "A\x1b[2J^B\n", "", True))))
    assert "A?[2J^B?" in text


def test_a_share_that_a_rule_holds_says_what_it_waits_for() -> None:
    waits = ["the report of 1 study", "1 person to release it"]
    lines = [*held_lines(held_share(doubt="", other=None, waits_for=waits))]
    assert lines[0] == "  It waits for the report of 1 study and 1 person to release it."
    assert any("slipway shares release cd" in line for line in lines)
    assert not any("resolve" in line for line in lines)


def test_an_open_share_has_nothing_of_this() -> None:
    assert [*held_lines({"id": "cd"})] == []
