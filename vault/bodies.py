"""Request bodies, read with an own byte counter and deadline: aiohttp has no limit on the time a body may take."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TypeVar

import pydantic
from aiohttp import ClientError, web

from vault import wire
from vault.errors import BadRequestError, BodyTooLargeError, BodyTooSlowError, DigestWrongError
from vault.ports import Clock

JSON_BYTES = 64 << 10
GRACE_S = 10  # for any body of a stranger's, however small
SLOWEST_BYTES_PER_S = 32 << 10  # of a stranger's; slower than this holds a connection to ransom

M = TypeVar("M", bound=pydantic.BaseModel)


@dataclass(frozen=True)
class Patience:
    """How long the vault waits for a body."""

    silence_s: float  # without a byte
    total_s: float


# A hospital's line may be weak and shared with everybody else; an object of 8 MiB in an hour is 19 kbit/s.
WITH_BOXES = Patience(silence_s=60, total_s=3600)


def with_strangers(size: int) -> Patience:
    deadline_s = GRACE_S + size / SLOWEST_BYTES_PER_S
    return Patience(deadline_s, deadline_s)


async def chunks(
    request: web.Request, limit: int, clock: Clock, patience: Patience | None = None
) -> AsyncGenerator[bytes, None]:
    """The body as it arrives; without a `patience`, as strictly as strangers must be treated.

    Raises BodyTooLargeError, BodyTooSlowError, BadRequestError (encoded, or cut off).
    """
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise BadRequestError("Content-Encoding is not accepted.", hint="Send the bytes as they are.")
    if (request.content_length or 0) > limit:
        raise BodyTooLargeError
    alarm = _Alarm(request, clock, patience or with_strangers(request.content_length or limit))
    ringing = asyncio.create_task(alarm.ring())
    seen = 0
    try:
        while chunk := await request.content.readany():
            alarm.heard()
            seen += len(chunk)
            if seen > limit:
                raise BodyTooLargeError
            yield chunk
    except (ClientError, ConnectionError, web.RequestPayloadError) as error:
        raise BadRequestError("The body was cut off.") from error
    finally:
        ringing.cancel()


class _Alarm:
    """Ends a body that takes too long."""

    def __init__(self, request: web.Request, clock: Clock, patience: Patience) -> None:
        self._request = request
        self._clock = clock
        self._patience = patience
        self._until = clock.monotonic() + patience.total_s
        self.heard()

    def heard(self) -> None:
        self._heard_at = self._clock.monotonic()

    async def ring(self) -> None:
        while (left_s := self._left_s()) > 0:
            await self._clock.sleep(left_s)
        self._request.content.set_exception(BodyTooSlowError())  # wakes the reader with it

    def _left_s(self) -> float:
        return min(self._heard_at + self._patience.silence_s, self._until) - self._clock.monotonic()


async def read(request: web.Request, clock: Clock, patience: Patience | None = None) -> bytes:
    return b"".join([chunk async for chunk in chunks(request, JSON_BYTES, clock, patience)])


def check_digest(body_digest: bytes, content_digest: bytes) -> None:
    if not hmac.compare_digest(body_digest, content_digest):
        raise DigestWrongError


async def read_checked(request: web.Request, clock: Clock, content_digest: bytes, patience: Patience) -> bytes:
    body = await read(request, clock, patience)
    check_digest(hashlib.sha256(body).digest(), content_digest)
    return body


def parse(model: type[M], body: bytes) -> M:
    """Raises BadRequestError that names the wrong members, never their values."""
    try:
        return model.model_validate_json(body)
    except pydantic.ValidationError as error:
        wrong = ", ".join(
            sorted({".".join(str(part) for part in found["loc"]) or "the body" for found in error.errors()})
        )
        raise BadRequestError(f"Not as docs/wire.md has it: {wrong}.") from None


def _decode(length: int) -> pydantic.PlainValidator:
    def decode(value: object) -> bytes:
        try:
            return wire.unb64u(value if isinstance(value, str) else "", length)
        except BadRequestError as error:
            raise ValueError from error

    return pydantic.PlainValidator(decode)


Id = _decode(wire.ID_BYTES)
Key = _decode(wire.KEY_BYTES)
Envelope = _decode(wire.ENVELOPE_BYTES)
