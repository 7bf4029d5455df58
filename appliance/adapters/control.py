"""The box's own control socket: the commands ask the running daemon, as only it may open the journal.

A unix socket in the spool folder, readable by its owner and group only. One POST a command, JSON both ways.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from appliance.errors import NotRunningError, SlipwayError

SOCKET_NAME = "control.sock"
TIMEOUT_S = 60.0  # a printer may take its time
CREDENTIALS = struct.Struct("3i")  # SO_PEERCRED, unix(7): process, user, group
LAST_ANSWERS_S = 2.0  # a command that hangs must not keep the box from stopping; aiohttp would give it 60
Command = Callable[[str, dict[str, Any]], Awaitable[Any]]


class ControlServer:
    def __init__(self, folder: Path, command: Command, *, last_answers_s: float = LAST_ANSWERS_S) -> None:
        self._last_answers_s = last_answers_s
        self._path = folder / SOCKET_NAME
        self._command = command
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{command}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=self._last_answers_s)
        await self._runner.setup()
        self._path.unlink(missing_ok=True)
        try:
            await web.UnixSite(self._runner, str(self._path)).start()
        except OSError as error:
            raise SlipwayError(
                f"the control socket {self._path} cannot be made: {error.strerror or error}",
                hint="Choose a shorter [spool] path (a socket's path has 107 characters at most) and check its owner.",
            ) from error
        self._path.chmod(0o660)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        with contextlib.suppress(OSError):  # a disk that turned read-only must not hide why the box ends
            self._path.unlink(missing_ok=True)

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            arguments = await request.json()
            arguments["by"] = _caller(request, str(arguments.get("by", "")))
            result = await self._command(request.match_info["command"], arguments)
        except SlipwayError as error:
            value = {
                "code": error.code,
                "summary": error.summary,
                "hint": error.hint,
                "exit_status": error.exit_status,
            }
            return web.json_response({"error": value}, status=400)
        return web.json_response({"result": result})


def _caller(request: web.Request, says: str) -> str:
    """Who asks, for the audit trail: the kernel's word and, where that is another name, the caller's own."""
    transport = request.transport
    if transport is None:
        return ""
    peer = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    name = _user_name(CREDENTIALS.unpack(peer)[1])
    says = "".join(char for char in says if char.isprintable())[:64]
    return name if says in ("", name) else f"{says} (as {name})"


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


class RemoteError(SlipwayError):
    """An error that the daemon reported."""

    def __init__(self, value: dict[str, Any]) -> None:
        super().__init__(value["summary"], hint=value["hint"])
        self.code = value["code"]
        self.exit_status = value["exit_status"]


async def call(folder: Path, command: str, arguments: dict[str, Any], *, timeout_s: float = TIMEOUT_S) -> Any:
    """The daemon's answer. NotRunningError when there is no daemon; RemoteError for what it complains of."""
    connector = aiohttp.UnixConnector(str(folder / SOCKET_NAME))
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.post(f"http://box/{command}", json=arguments | {"by": _myself()}) as response,
        ):
            body = await response.read()
    except TimeoutError as error:  # before OSError, of which it is one
        raise SlipwayError("the box's service did not answer in time") from error
    except (aiohttp.ClientConnectorError, OSError) as error:
        if isinstance(getattr(error, "os_error", error), PermissionError):
            raise SlipwayError(
                "this user may not speak to the box's service", hint="Use sudo, or join the group slipway."
            ) from error
        raise NotRunningError("the box's service is not running") from error
    except aiohttp.ClientError as error:
        raise SlipwayError("the box's service did not answer") from error
    return _result(body)


def _myself() -> str:
    """The person behind sudo, where there is one."""
    return os.environ.get("SUDO_USER") or _user_name(os.getuid())


def _result(body: bytes) -> Any:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and "error" in answer:
        raise RemoteError(answer["error"])
    if not isinstance(answer, dict) or "result" not in answer:  # it failed at the command, or is of another version
        raise SlipwayError("the box's service could not carry out this command")
    return answer["result"]
