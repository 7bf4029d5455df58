"""The vault over HTTPS: requests signed with the box's key, answers checked against the vault's (docs/wire.md).

Not here: what to send and when to try again. Errors say whether trying again can help.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.errors import NotEnrolledError, SlipwayError, VaultRefusedError, VaultUnreachableError
from appliance.formats import base64url, wire
from appliance.formats.identity_file import Enrolment
from appliance.ports import LinkRegistration, RegisteredLink

CONNECT_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 60.0  # between two reads or writes: a whole upload may take hours on a slow line
ANSWER_BYTES = 1 << 20


class HttpVault:
    """One vault. `enrolment` None: every call raises NotEnrolledError."""

    def __init__(self, enrolment: Enrolment | None, ca_file: str, clock: Callable[[], float]) -> None:
        self.enrolment = enrolment
        self.last_error = ""
        self.clock_offset_s = 0.0  # vault's clock minus ours, as its signed answers say
        self._ca_file = ca_file
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    def now(self) -> float:
        """Unix seconds by the vault's clock, as far as the box knows it."""
        return self._clock() + self.clock_offset_s

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
        return RegisteredLink(float(answer["expires_at"]), str(answer.get("public_url", "")))

    async def renew_link(self, share_id: bytes, link_id: bytes, expires_in_s: float) -> float:
        body = json.dumps({"expires_in_s": round(expires_in_s)}).encode()
        return float((await self._call("PATCH", _link(share_id, link_id), body))["expires_at"])

    async def delete_link(self, share_id: bytes, link_id: bytes) -> None:
        await self._call("DELETE", _link(share_id, link_id))

    async def _call(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        """The answer's JSON. A wrong clock is corrected by the vault's signed time, once."""
        try:
            answer = await self._exchange(method, path, body)
            if answer.get("error", {}).get("code") == "clock_skew":
                answer = await self._exchange(method, path, body)
            error = answer.get("error")
            if error:
                raise _refusal(str(error.get("code")), str(error.get("message")))
        except SlipwayError as error:
            self.last_error = error.summary
            raise
        self.last_error = ""
        return answer

    async def _exchange(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        enrolment = self.enrolment
        if enrolment is None:
            raise NotEnrolledError("this box is not enrolled with a vault")
        signed = wire.sign_request(
            method,
            path,
            body,
            key=enrolment.key,
            device_id=enrolment.device_id,
            created=int(self.now()),
            nonce=base64url.encode(os.urandom(16)),
        )
        status, headers, answer = await self._send(method, enrolment.url + path, body, signed.headers)
        wire.check_answer(status, headers, answer, request_signature=signed.signature, vault_key=enrolment.vault_key)
        value = _json(answer)
        if isinstance(value.get("now"), int | float):
            self.clock_offset_s = float(value["now"]) - self._clock()
        return value

    async def _send(
        self, method: str, url: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_TIMEOUT_S),
                auto_decompress=False,
                trust_env=True,  # a hospital's proxy comes by the environment of the service
            )
        headers = {**headers, "Content-Type": "application/octet-stream", "User-Agent": "slipway"}
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, ssl=_tls(self._ca_file), allow_redirects=False
            ) as response:
                answer = await response.content.read(ANSWER_BYTES)
                return response.status, dict(response.headers), answer
        except aiohttp.ClientConnectorCertificateError as error:
            raise _intercepted(error) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            host = urlsplit(url).netloc
            raise VaultUnreachableError(f"the vault at {host} does not answer ({type(error).__name__})") from error


async def enrol(url: str, code: str, ca_file: str, clock: Callable[[], float]) -> Enrolment:
    """Make a key and have the vault take it. EnrolmentError, VaultUnreachableError or AnswerNotGenuineError."""
    enrolment_code = wire.parse_code(code)
    key = Ed25519PrivateKey.generate()
    public_key = key.public_key().public_bytes_raw()
    body = json.dumps(enrolment_code.request(public_key)).encode()
    vault = HttpVault(None, ca_file, clock)
    try:
        status, _, answer = await vault._send("POST", f"{url}/device/v1/enrolments", body, {})  # noqa: SLF001
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


def _refusal(code: str, message: str) -> SlipwayError:
    if code in ("clock_skew", "replayed", "too_many_requests", "unavailable"):
        return VaultUnreachableError(f"the vault asks to try again: {message}")
    refused = VaultRefusedError(f"the vault refused: {message}")
    refused.code = code
    return refused


def _intercepted(error: aiohttp.ClientConnectorCertificateError) -> VaultUnreachableError:
    """Name what stands in between: the technician can then ask the right people."""
    return VaultUnreachableError(
        f"the connection to the vault is not trusted ({error.certificate_error})",
        hint="If this hospital inspects TLS, put its own CA into [vault] ca_file. Requests stay signed and sealed.",
    )


def _tls(ca_file: str) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=ca_file) if ca_file else True


def _share(share_id: bytes) -> str:
    return f"/device/v1/shares/{base64url.encode(share_id)}"


def _link(share_id: bytes, link_id: bytes) -> str:
    return f"{_share(share_id)}/links/{base64url.encode(link_id)}"
