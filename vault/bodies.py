"""Request bodies, read with an own byte counter and deadline: aiohttp has no limit on the time a body may take."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncGenerator
from typing import TypeVar

import pydantic
from aiohttp import ClientError, web

from vault import wire
from vault.errors import BadRequestError, BodyTooLargeError, BodyTooSlowError, DigestWrongError
from vault.ports import Clock

JSON_BYTES = 64 << 10
GRACE_S = 10  # for any body, however small
SLOWEST_BYTES_PER_S = (
    32 << 10
)  # a hospital's line shared with everybody else; slower than this holds a connection to ransom

M = TypeVar("M", bound=pydantic.BaseModel)


async def chunks(request: web.Request, limit: int, clock: Clock) -> AsyncGenerator[bytes, None]:
    """The body as it arrives. Raises BodyTooLargeError, BodyTooSlowError, BadRequestError (encoded, or cut off)."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise BadRequestError("Content-Encoding is not accepted.", hint="Send the bytes as they are.")
    if (request.content_length or 0) > limit:
        raise BodyTooLargeError
    alarm = asyncio.create_task(
        _ring(request, clock, GRACE_S + (request.content_length or limit) / SLOWEST_BYTES_PER_S)
    )
    seen = 0
    try:
        while chunk := await request.content.readany():
            seen += len(chunk)
            if seen > limit:
                raise BodyTooLargeError
            yield chunk
    except (ClientError, ConnectionError, web.RequestPayloadError) as error:
        raise BadRequestError("The body was cut off.") from error
    finally:
        alarm.cancel()


async def _ring(request: web.Request, clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)
    request.content.set_exception(BodyTooSlowError())  # wakes the reader with it


async def read(request: web.Request, clock: Clock, limit: int = JSON_BYTES) -> bytes:
    return b"".join([chunk async for chunk in chunks(request, limit, clock)])


def check_digest(body_digest: bytes, content_digest: bytes) -> None:
    if not hmac.compare_digest(body_digest, content_digest):
        raise DigestWrongError


async def read_checked(request: web.Request, clock: Clock, content_digest: bytes) -> bytes:
    body = await read(request, clock)
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
