"""The vault over HTTPS: requests signed with the box's key, answers checked against the vault's (docs/wire.md).

Not here: what to send and when to try again. Errors say whether trying again can help.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import aiohttp.abc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.adapters import tls
from appliance.errors import NotEnrolledError, SlipwayError, VaultRefusedError, VaultUnreachableError
from appliance.formats import base64url, wire
from appliance.formats.identity_file import Enrolment
from appliance.ports import LinkRegistration, RegisteredLink

ANSWER_BYTES = 1 << 20
CHUNK_BYTES = 1 << 16  # of a body that goes out at once; whole, an object would hold up the loop
TRY_AGAIN = ("clock_skew", "replayed", "digest_wrong")  # refusals of this sending, not of what was sent


@dataclass(frozen=True)
class Patience:
    """How long to wait for a vault; past it, the box tries again later."""

    connect_s: float = 10.0
    silence_s: float = 60.0  # for the answer, once the request is out
    slowest_bytes_per_s: float = 2 << 10  # of an upload; for 8 MiB a little more than the hour that the vault waits
    stalled_s: float = 60.0  # without the other end's taking a byte of it

    def of(self, body: bytes) -> aiohttp.ClientTimeout:
        total = self.connect_s + self.silence_s + len(body) / self.slowest_bytes_per_s
        return aiohttp.ClientTimeout(total=total, sock_connect=self.connect_s, sock_read=self.silence_s)


class HttpVault:
    """One vault. `enrolment` None: every call raises NotEnrolledError. SettingsError when `ca_file` cannot be used."""

    def __init__(
        self,
        enrolment: Enrolment | None,
        ca_file: str,
        clock: Callable[[], float],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        patience: Patience | None = None,
    ) -> None:
        self.enrolment = enrolment
        self.last_error = ""
        self.since: float | None = None  # Unix seconds: since then it answers well, or does not; None: not asked yet
        self._tls = tls.trust(ca_file)
        self._clock = clock
        self._monotonic = monotonic
        self._patience = patience or Patience()
        self._heard: tuple[float, float] | None = None  # the vault's time in its last signed answer, and ours then
        self._session: aiohttp.ClientSession | None = None

    def known_now(self) -> float | None:
        """Unix seconds by the vault's clock, whatever becomes of the box's own; None before it has answered."""
        if self._heard is None:
            return None
        vault_time, then = self._heard
        return vault_time + self._monotonic() - then

    @property
    def clock_offset_s(self) -> float:
        """The vault's clock minus ours; 0 before it has answered."""
        now = self.known_now()
        return 0.0 if now is None else now - self._clock()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def check(self) -> None:
        """Whether the vault is there, is itself, and knows this box."""
        await self._call("GET", "/device/v1/time")

    async def put_share(self, share_id: bytes) -> None:
        await self._call("PUT", _share(share_id), b"{}")

    async def delete_share(self, share_id: bytes) -> None:
        await self._call("DELETE", _share(share_id))

    async def put_object(self, share_id: bytes, number: int, data: bytes) -> None:
        await self._call("PUT", f"{_share(share_id)}/objects/{number}", data)

    async def put_manifest(self, share_id: bytes, generation: int, data: bytes) -> None:
        await self._call("PUT", f"{_share(share_id)}/manifests/{generation}", data)

    async def put_link(self, link: LinkRegistration) -> RegisteredLink:
        body = {
            "verifier": base64url.encode(link.verifier),
            "factor": link.factor,
            "share_key": base64url.encode(link.share_key),
            "envelope": base64url.encode(link.envelope),
            "expires_in_s": round(link.expires_in_s),
            "grace_s": round(link.grace_s),
        }
        answer = await self._call("PUT", _link(link.share_id, link.link_id), json.dumps(body).encode())
        return RegisteredLink(_expiry(answer), str(answer.get("public_url") or self._url))

    async def renew_link(self, share_id: bytes, link_id: bytes, expires_in_s: float) -> float:
        body = json.dumps({"expires_in_s": round(expires_in_s)}).encode()
        return _expiry(await self._call("PATCH", _link(share_id, link_id), body))

    async def delete_link(self, share_id: bytes, link_id: bytes) -> None:
        await self._call("DELETE", _link(share_id, link_id))

    @property
    def _url(self) -> str:
        if self.enrolment is None:
            raise NotEnrolledError("this box is not enrolled with a vault")
        return self.enrolment.url

    async def _call(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        """The answer's JSON. A wrong clock is corrected by the vault's signed time, once."""
        try:
            status, answer = await self._exchange(method, path, body)
            if _error(answer).get("code") == "clock_skew":
                status, answer = await self._exchange(method, path, body)
            if status >= 300:
                raise _refusal(status, _error(answer))
        except SlipwayError as error:
            self._note(error.summary)
            raise
        self._note("")
        return answer

    def _note(self, error: str) -> None:
        if self.since is None or bool(error) != bool(self.last_error):
            self.since = self._clock()
        self.last_error = error

    async def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        url, enrolment = self._url, self.enrolment
        assert enrolment is not None  # noqa: S101 - _url has checked
        now = self.known_now()
        signed = wire.sign_request(
            method,
            path,
            body,
            key=enrolment.key,
            device_id=enrolment.device_id,
            created=int(self._clock() if now is None else now),
            nonce=base64url.encode(os.urandom(16)),
        )
        status, headers, answer = await self.send(method, url + path, body, signed.headers)
        wire.check_answer(status, headers, answer, request_signature=signed.signature, vault_key=enrolment.vault_key)
        value = _json(answer)
        if isinstance(value.get("now"), int | float):
            self._heard = float(value["now"]), self._monotonic()
        return status, value

    async def send(
        self, method: str, url: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request as it is. VaultUnreachableError names who answers in the vault's place, where that shows."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(socket_factory=self._socket),
                auto_decompress=False,
                trust_env=True,  # a hospital's proxy comes by the environment of the service
            )
        headers = {**headers, "Content-Type": "application/octet-stream", "User-Agent": "slipway"}
        parts = urlsplit(url)
        try:
            async with self._session.request(
                method,
                url,
                data=_Body(body) if body else None,
                headers=headers,
                ssl=self._tls,
                allow_redirects=False,
                timeout=self._patience.of(body),
            ) as response:
                return response.status, response.headers, await _read(response)
        except aiohttp.ClientConnectorCertificateError as error:
            issuer = await tls.issuer_at(parts.hostname or "", parts.port or 443, self._patience.connect_s)
            raise _intercepted(error, issuer) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise VaultUnreachableError(
                f"the vault at {parts.netloc} does not answer ({type(error).__name__})"
            ) from error

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """One that notices a line that is dead in the middle of an upload long before the upload's time is over."""
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(self._patience.stalled_s * 1000))
        return made


class _Body(aiohttp.Payload):
    """Bytes that go out in pieces and are not copied for it, as they are by way of a BytesIO."""

    _value: bytes

    def __init__(self, value: bytes) -> None:
        super().__init__(value)
        self._size = len(value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.decode(encoding, errors)

    async def write(self, writer: aiohttp.abc.AbstractStreamWriter) -> None:
        view = memoryview(self._value)
        for at in range(0, len(view), CHUNK_BYTES):
            await writer.write(view[at : at + CHUNK_BYTES])
            await asyncio.sleep(0)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body to its end; one that has none is not the vault's."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise wire.AnswerNotGenuineError("an answer came that is longer than the vault's ever are")
    return bytes(body)


async def enrol(url: str, code: str, ca_file: str, clock: Callable[[], float]) -> Enrolment:
    """Make a key and have the vault take it. EnrolmentError, VaultUnreachableError or AnswerNotGenuineError."""
    enrolment_code = wire.parse_code(code)
    key = Ed25519PrivateKey.generate()
    public_key = key.public_key().public_bytes_raw()
    body = json.dumps(enrolment_code.request(public_key)).encode()
    vault = HttpVault(None, ca_file, clock)
    try:
        status, _, answer = await vault.send("POST", f"{url}/device/v1/enrolments", body, {})
    finally:
        await vault.close()
    if status == 403:
        raise wire.EnrolmentError("the vault does not accept this code")
    if status != 201:
        raise wire.EnrolmentError(f"the vault answered {status} to the enrolment", hint="Is this the vault's address?")
    device_id, vault_key = enrolment_code.check_answer(public_key, _json(answer))
    return Enrolment(url, device_id, key, Ed25519PublicKey.from_public_bytes(vault_key))


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise wire.AnswerNotGenuineError("the vault's answer is not JSON") from error
    return value if isinstance(value, dict) else {}


def _error(answer: dict[str, Any]) -> dict[str, Any]:
    error = answer.get("error")
    return error if isinstance(error, dict) else {}


def _expiry(answer: dict[str, Any]) -> float:
    try:
        return float(answer["expires_at"])
    except (KeyError, TypeError, ValueError) as error:
        raise VaultRefusedError("the vault's answer does not say until when the link is good") from error


def _refusal(status: int, error: dict[str, Any]) -> SlipwayError:
    code, message = str(error.get("code", "")), str(error.get("message", f"status {status}"))
    if status in (408, 429) or status >= 500 or code in TRY_AGAIN:
        return VaultUnreachableError(f"the vault asks to try again: {message}")
    refused = VaultRefusedError(f"the vault refused: {message}")
    refused.code = code or refused.code
    return refused


def _intercepted(error: aiohttp.ClientConnectorCertificateError, issuer: str) -> VaultUnreachableError:
    """Name what stands in between: the technician can then ask the right people."""
    reason = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
    shown = f"; the certificate shown was issued by {issuer}" if issuer else ""
    return VaultUnreachableError(
        f"the connection to the vault is not trusted: {reason}{shown}",
        hint="If this hospital inspects TLS, put its own CA into [vault] ca_file. Requests stay signed and sealed.",
    )


def _share(share_id: bytes) -> str:
    return f"/device/v1/shares/{base64url.encode(share_id)}"


def _link(share_id: bytes, link_id: bytes) -> str:
    return f"{_share(share_id)}/links/{base64url.encode(link_id)}"
