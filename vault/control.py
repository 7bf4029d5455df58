"""The service's control socket, and how a command decides between it and the ledger's file.

SQLite below 3.51.3 can corrupt a WAL database that two connections write, so whoever opens the ledger holds
`LEDGER.lock`, and a command beside a running service sends its order through `LEDGER.sock` (0600) instead. One JSON
line there, one back.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from vault.errors import BadRequestError, RunningError, SettingsError, VaultError
from vault.operations import Facts, Operations

LINE_BYTES = 1 << 20
WHO = "Run the command as the service's user (sudo -u slipway-vault), or correct [database] url."
PATIENCE_S = 60  # a sweep of a large vault takes its time


@contextmanager
def lock(database: Path) -> Iterator[None]:
    """Raises RunningError when another process has the ledger, SettingsError when its folder cannot be used.

    The kernel lets go of it, however this process ends.
    """
    try:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SettingsError(f"Cannot write in {database.parent}: {error.strerror}.", hint=WHO) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunningError from error
        yield
    finally:
        os.close(descriptor)


def become_owner(folder: Path) -> None:
    """As root, go on as the user whose folder it is: a file of root's there would stop the service's next start."""
    if os.geteuid() != 0 or not folder.exists():
        return
    owner = folder.stat()
    if owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)


@contextmanager
def _socket_path(database: Path) -> Iterator[str]:
    """Through the folder's descriptor: a socket's path may have 107 bytes, a folder's more."""
    descriptor = os.open(database.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{database.name}.sock"
    finally:
        os.close(descriptor)


def _remove_socket(database: Path) -> None:
    Path(f"{database}.sock").unlink(missing_ok=True)


@asynccontextmanager
async def listening(database: Path, operations: Operations) -> AsyncIterator[None]:
    """Only under `lock`: a socket file that is there already is a dead process's."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.LimitOverrunError, ValueError):
            writer.write(await _answer(await reader.readline(), operations))
            await writer.drain()
        writer.close()

    _remove_socket(database)
    with _socket_path(database) as short:
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)  # 0600 from its first moment
        try:
            bound.bind(short)
        finally:
            os.umask(before)
    server = await asyncio.start_unix_server(serve, sock=bound, limit=LINE_BYTES)
    try:
        yield
    finally:
        server.close()
        _remove_socket(database)


async def _answer(line: bytes, operations: Operations) -> bytes:
    try:
        order = json.loads(line)
        facts = await operations.perform(order if isinstance(order, dict) else {})
    except VaultError as error:
        facts = {"error": {"code": error.code, "summary": error.summary, "hint": error.hint}}
    return json.dumps(facts).encode() + b"\n"


async def send(database: Path, order: Facts) -> Facts | None:
    """What the running service answers; None when none runs. Raises VaultError with what it refused."""
    try:
        with _socket_path(database) as short:
            reader, writer = await asyncio.open_unix_connection(short, limit=LINE_BYTES)
    except PermissionError as error:
        raise RunningError(f"May not reach {database.parent}.", hint=WHO) from error
    except OSError:  # no socket, or a dead process's: nobody serves
        return None
    try:
        writer.write(json.dumps(order).encode() + b"\n")
        await writer.drain()
        async with asyncio.timeout(PATIENCE_S):
            facts: Facts = json.loads(await reader.readline())
    except (TimeoutError, ConnectionError, ValueError) as error:
        raise RunningError("The running service does not answer on its control socket.") from error
    finally:
        writer.close()
    match facts:
        case {"error": {"summary": str(summary), "hint": str(hint)}}:
            raise BadRequestError(summary, hint=hint)
    return facts
