"""The vault as a patient's phone sees it: the reference reader's side of docs/wire.md, "For the patient's page"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from appliance.errors import FactorWrongError, FormatError, LinkGoneError, VaultUnreachableError
from appliance.formats import base64url

TIMEOUT_S = 60.0


@dataclass(frozen=True, repr=False)
class OpenedLink:
    share_id: bytes
    share_key: bytes
    envelope: bytes
    token: str


class LinkReader:
    """Use as `async with`."""

    def __init__(self, public_url: str, link_id: bytes) -> None:
        self._base = f"{public_url}/api/v1"
        self._link = base64url.encode(link_id)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> LinkReader:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False, trust_env=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def factor(self) -> str:
        """Which second factor the link wants. Counts nothing."""
        value = await self._json("GET", f"/links/{self._link}")
        return _text(value, "factor")

    async def open(self, proof: bytes) -> OpenedLink:
        """FactorWrongError (a try is gone) or LinkGoneError."""
        value = await self._json("POST", f"/links/{self._link}/open", {"proof": base64url.encode(proof)})
        return OpenedLink(
            base64url.decode(_text(value, "share_id"), 16),
            base64url.decode(_text(value, "share_key"), 32),
            base64url.decode(_text(value, "envelope")),
            _text(value, "token"),
        )

    async def manifest(self, token: str) -> tuple[int, bytes] | None:
        """(generation, ciphertext), or None while there is none yet."""
        status, headers, body = await self._send("GET", "/manifest", headers={"Authorization": f"Bearer {token}"})
        if status == 404:
            return None
        self._check(status, body)
        generation = headers.get("Slipway-Generation", "")
        if not generation.isascii() or not generation.isdigit():
            raise _stranger()
        return int(generation), body

    async def object_range(self, token: str, number: int, offset: int, length: int) -> bytes:
        headers = {"Authorization": f"Bearer {token}", "Range": f"bytes={offset}-{offset + length - 1}"}
        status, _, body = await self._send("GET", f"/objects/{number}", headers=headers)
        self._check(status, body)
        if len(body) != length:
            raise FormatError("the vault has less of an image than the share's manifest says")
        return body

    async def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        status, _, answer = await self._send(method, path, json.dumps(body).encode() if body is not None else None)
        self._check(status, answer)
        try:
            value = json.loads(answer)
        except ValueError as error:
            raise _stranger() from error
        return value if isinstance(value, dict) else {}

    async def _send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        assert self._session is not None  # noqa: S101 - used as a context manager
        headers = {"Content-Type": "application/json"} if body is not None else headers or {}
        try:
            async with self._session.request(
                method, self._base + path, data=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status, response.headers, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise VaultUnreachableError(
                f"the vault of this link does not answer ({type(error).__name__})",
                hint="Check the network and try again in a moment; the link stays good.",
            ) from error

    def _check(self, status: int, body: bytes) -> None:
        if status in (200, 206):
            return
        error = _error(body)
        message = str(error.get("message", f"the vault answered {status}"))
        hint = str(error["hint"]) if error.get("hint") else None
        if error.get("code") == "wrong_factor":
            raise FactorWrongError(message, hint=hint)
        if status in (404, 410, 423, 401):
            raise LinkGoneError(message, hint=hint)
        raise VaultUnreachableError(message, hint=hint)


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str):
        raise _stranger()
    return found


def _stranger() -> FormatError:
    return FormatError(
        "what answers at the link's address is not a vault",
        hint="A captive portal or a proxy may answer in its place: open the link in a browser to see.",
    )


def _error(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
        error = value["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    if not isinstance(error, dict):
        return {}
    left = value.get("tries_left")
    return error | ({"message": f"{error.get('message', '')} ({left} tries left)"} if left is not None else {})
