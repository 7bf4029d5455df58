"""Admits signed requests of boxes and signs the vault's answers (docs/wire.md, Signatures; RFC 9421, RFC 9530)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault import wire
from vault.core import CLOCK_SKEW_S, DEVICE, DeviceEvent, DeviceState, after
from vault.errors import BadRequestError, ClockSkewError, DeviceUnknownError, ReplayedError, SignatureWrongError
from vault.ports import Clock, Device, Devices

PREFIX = "/device/v1/"
UNSIGNED = PREFIX + "enrolments"


@dataclass(frozen=True)
class Caller:
    device_id: bytes
    content_digest: bytes  # SHA-256 that the body must have


CALLER: Final = web.RequestKey("caller", Caller)


def is_signed(request: web.Request) -> bool:
    return request.path.startswith(PREFIX) and request.path != UNSIGNED


async def admit(request: web.Request, devices: Devices, clock: Clock) -> Caller:
    """Everything but the body, so that nobody else can make the vault read one. Raises the wire's refusals."""
    if "?" in request.raw_path:
        raise BadRequestError("Device requests have no query.")
    given = wire.parse_request_signature(_joined(request, "Signature-Input"), _joined(request, "Signature"))
    device = await devices.device(given.device_id)
    if device is None:
        raise DeviceUnknownError
    header = _joined(request, "Content-Digest")
    given.verify(device.public_key, request.method, request.raw_path, header)
    after(DEVICE, _state(device), DeviceEvent.SIGNED)
    now = clock.now()
    if abs(int(now) - given.created) > CLOCK_SKEW_S:
        raise ClockSkewError
    # A nonce is remembered until its `created` alone refuses it.
    if not await devices.admit(given.device_id, given.nonce, given.created + CLOCK_SKEW_S + 1, now):
        raise ReplayedError
    return Caller(device.device_id, wire.parse_content_digest(header))


def sign(request: web.Request, response: web.Response, identity: Ed25519PrivateKey, clock: Clock) -> None:
    """Leaves an answer to a request without a readable signature unsigned: there is nothing to bind it to."""
    try:
        request_signature = wire.signature_bytes(_joined(request, "Signature"))
    except SignatureWrongError:
        return
    body = response.body if isinstance(response.body, bytes) else b""
    response.headers.update(
        wire.sign_answer(
            identity,
            status=response.status,
            body=body,
            created=int(clock.now()),
            request_signature=request_signature,
        )
    )


def _state(device: Device) -> DeviceState:
    return DeviceState.ENROLLED if device.revoked_at is None else DeviceState.REVOKED


def _joined(request: web.Request, name: str) -> str:
    return ", ".join(value.strip() for value in request.headers.getall(name, []))
