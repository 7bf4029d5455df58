"""The box's control socket: who may speak, and what comes back when something is wrong."""

# ruff: noqa: ASYNC110  (tests look again until it is so)
from __future__ import annotations

import asyncio
import os
import pwd
import stat
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from appliance.adapters import control
from appliance.adapters.control import ControlServer, RemoteError
from appliance.errors import NotFoundError, NotRunningError, SlipwayError


@pytest.fixture
async def folder() -> AsyncIterator[Path]:
    """Short, as a socket's path has 107 characters at most."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


async def command(name: str, arguments: dict[str, Any]) -> Any:
    match name:
        case "echo":
            return arguments
        case "fail":
            raise NotFoundError("there is no such thing", hint="Look elsewhere.")
        case "bug":
            raise KeyError("CANARYSON^ADALBERTA")
        case _:
            return await asyncio.Event().wait()


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(folder, command, last_answers_s=0.1)
    await server.start()
    yield server
    await server.stop()


@pytest.mark.usefixtures("server")
async def test_a_command_is_answered(folder: Path) -> None:
    answer = await control.call(folder, "echo", {"text": "grün", "n": [1, 2]})
    assert (answer["text"], answer["n"]) == ("grün", [1, 2])


@pytest.mark.usefixtures("server")
async def test_a_command_is_told_who_asks_by_the_kernel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert (await control.call(folder, "echo", {}))["by"] == me
    assert (await control.call(folder, "echo", {"by": "somebody else"}))["by"] == me


@pytest.mark.usefixtures("server")
async def test_who_says_to_be_another_is_named_beside_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setenv("SUDO_USER", "ada\x1b[2J")
    assert (await control.call(folder, "echo", {}))["by"] == f"ada[2J (as {me})"


@pytest.mark.usefixtures("server")
async def test_a_complaint_arrives_as_it_was_made(folder: Path) -> None:
    with pytest.raises(RemoteError) as raised:
        await control.call(folder, "fail", {})
    error = raised.value
    assert (error.code, error.summary, error.hint) == ("not_found", "there is no such thing", "Look elsewhere.")
    assert error.exit_status == 1


@pytest.mark.usefixtures("server")
async def test_a_bug_in_the_service_is_a_sentence_that_tells_nothing_of_a_patient(folder: Path) -> None:
    with pytest.raises(SlipwayError) as raised:
        await control.call(folder, "bug", {})
    assert "CANARY" not in str(raised.value)


@pytest.mark.usefixtures("server")
async def test_the_socket_is_for_its_owner_and_group_only(folder: Path) -> None:
    assert stat.S_IMODE((folder / control.SOCKET_NAME).stat().st_mode) == 0o660


@pytest.mark.usefixtures("server")
async def test_a_service_that_hangs_is_not_said_to_be_stopped(folder: Path) -> None:
    with pytest.raises(SlipwayError, match="in time") as raised:
        await control.call(folder, "hang", {}, timeout_s=0.1)
    assert not isinstance(raised.value, NotRunningError)


@pytest.mark.usefixtures("folder")
async def test_a_command_that_hangs_does_not_keep_the_box_from_stopping(folder: Path) -> None:
    server = ControlServer(folder, command, last_answers_s=0.1)
    await server.start()
    asking = asyncio.create_task(control.call(folder, "hang", {}))
    async with asyncio.timeout(5):
        while not server._runner.server.connections:  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
        await server.stop()
    with pytest.raises(SlipwayError):
        await asking


async def test_without_a_service_it_says_so(folder: Path) -> None:
    with pytest.raises(NotRunningError):
        await control.call(folder, "echo", {})


async def test_a_socket_left_by_a_crash_is_not_in_the_way(folder: Path) -> None:
    first = ControlServer(folder, command)
    await first.start()
    (folder / control.SOCKET_NAME).rename(folder / "aside")
    await first.stop()
    (folder / "aside").rename(folder / control.SOCKET_NAME)  # as kill -9 leaves it: a name that nobody listens on
    with pytest.raises(NotRunningError):
        await control.call(folder, "echo", {})
    second = ControlServer(folder, command)
    await second.start()
    assert (await control.call(folder, "echo", {"n": 1}))["n"] == 1
    await second.stop()
    assert not (folder / control.SOCKET_NAME).exists()


async def test_a_path_that_is_too_long_says_so(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    server = ControlServer(folder, command)
    with pytest.raises(SlipwayError, match="cannot be made") as raised:
        await server.start()
    assert "shorter" in raised.value.hint
    await server.stop()
