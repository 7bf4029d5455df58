"""Sending stored ciphertext to a patient's page: ranges, entity tags, and stopping when the link dies on the way."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from vault.errors import RangeUnsatisfiableError, VaultError
from vault.ports import Clock, Objects, Reading, Stored

CHUNK_BYTES = 256 << 10
LOOK_EVERY_S = 1.0  # a revoked link's stream ends within twice this
STALLED_AFTER_S = 60.0  # a page that takes no byte for so long is gone

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last; None to send all (RFC 9110 section 14.2: else ignored).

    Raises RangeUnsatisfiableError.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[0] == "bytes=-":
        return None
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= stop:
        raise RangeUnsatisfiableError(size)
    return start, stop


def etag(stored: Stored) -> str:
    return f'"{stored.name.number}-{stored.name.digest.hex()[:32]}"'


def is_unchanged(request: web.Request, tag: str) -> bool:
    header = request.headers.get("If-None-Match", "")
    return header.strip() == "*" or tag in (given.strip().removeprefix("W/") for given in header.split(","))


class Downloads:
    """One for the whole app. `alive` raises once the link is dead; it is asked every second while bytes flow."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock

    async def send(
        self, request: web.Request, stored: Stored, headers: dict[str, str], alive: Callable[[], Awaitable[object]]
    ) -> web.StreamResponse:
        tag = etag(stored)
        if is_unchanged(request, tag):
            return web.Response(status=304, headers={"ETag": tag, **headers})
        if_range = request.headers.get("If-Range", tag)
        wanted = parse_range(request.headers.get("Range", ""), stored.size) if if_range == tag else None
        start, stop = wanted or (0, stored.size)
        response = web.StreamResponse(status=206 if wanted else 200, headers={"ETag": tag, **headers})
        response.content_type = "application/octet-stream"
        response.headers["Accept-Ranges"] = "bytes"
        response.content_length = stop - start
        if wanted:
            response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{stored.size}"
        reading = await self._objects.open(stored.name, start)
        try:
            await self._stream(request, response, reading, stop - start, alive)
        finally:
            await reading.close()
        return response

    async def _stream(
        self,
        request: web.Request,
        response: web.StreamResponse,
        reading: Reading,
        left: int,
        alive: Callable[[], Awaitable[object]],
    ) -> None:
        await response.prepare(request)
        if request.method == "HEAD":
            return
        progress = Progress()
        guard = asyncio.create_task(self._guard(progress, alive))
        guard.add_done_callback(lambda ended: None if ended.cancelled() else _cut(request))
        try:
            while left:
                chunk = await reading.read(min(left, CHUNK_BYTES))
                if not chunk:
                    _cut(request)  # shorter than the ledger says: let nobody take it for whole
                    return
                await response.write(chunk)
                left -= len(chunk)
                progress.chunks += 1
            await response.write_eof()
        except ConnectionError:
            return  # the page left, or the guard cut it off
        finally:
            guard.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await guard

    async def _guard(self, progress: Progress, alive: Callable[[], Awaitable[object]]) -> None:
        """Returns, and with that ends the stream, when the link is dead or the page takes nothing any more."""
        seen, since = progress.chunks, self._clock.monotonic()
        while self._clock.monotonic() - since < STALLED_AFTER_S:
            await self._clock.sleep(LOOK_EVERY_S)
            if progress.chunks != seen:
                seen, since = progress.chunks, self._clock.monotonic()
            try:
                await alive()
            except VaultError:
                return


class Progress:
    chunks = 0


def _cut(request: web.Request) -> None:
    """Drops what is still queued too; the page sees fewer bytes than Content-Length promised."""
    if request.transport is not None:
        request.transport.abort()
