"""What boxes ask for, under /device/v1.

Every handler here runs behind device_signatures, with the body's digest known.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Literal

import pydantic
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault import bodies, wire
from vault.answers import answer
from vault.core import EXPIRES_MIN_S, MAX_TRIES, PERIOD_MAX_S, Link, LinkState
from vault.device_signatures import CALLER, Caller
from vault.errors import AlreadyDifferentError, BadRequestError, VaultError
from vault.patient_api import number
from vault.ports import Clock, Devices, Links, NewLink, ObjectName, Objects, Shares, Stored

OBJECT_BYTES = 8 << 20
MANIFEST_BYTES = 64 << 20
SHARE = "/device/v1/shares/{share_id}"
LINK = SHARE + "/links/{link_id}"

Expiry = Annotated[int, pydantic.Field(strict=True, ge=EXPIRES_MIN_S, le=PERIOD_MAX_S)]


class EnrolmentBody(pydantic.BaseModel):
    code_id: str
    public_key: Annotated[bytes, bodies.Key]
    mac: Annotated[bytes, bodies.Key]


class ShareBody(pydantic.BaseModel):
    pass


class LinkBody(pydantic.BaseModel):
    verifier: Annotated[bytes, bodies.Key]
    factor: Literal["birth-date", "pin", "none"]
    share_key: Annotated[bytes, bodies.Key]
    envelope: Annotated[bytes, bodies.Envelope]
    expires_in_s: Expiry
    grace_s: Annotated[int, pydantic.Field(strict=True, ge=0, le=PERIOD_MAX_S)]


class RenewalBody(pydantic.BaseModel):
    expires_in_s: Expiry


@dataclass(frozen=True)
class Call:
    """A signed request to a share: who asks, for which share, with what small body."""

    request: web.Request
    caller: Caller
    share_id: bytes
    body: bytes

    @property
    def link_id(self) -> bytes:
        return wire.unb64u(self.request.match_info["link_id"], wire.ID_BYTES)


class DeviceApi:
    def __init__(
        self,
        *,
        devices: Devices,
        shares: Shares,
        links: Links,
        objects: Objects,
        clock: Clock,
        identity: Ed25519PrivateKey,
        public_url: str,
        spend: Callable[[web.Request], None],
        patience: bodies.Patience,
    ) -> None:
        self._devices = devices
        self._shares = shares
        self._links = links
        self._objects = objects
        self._clock = clock
        self._vault_key = identity.public_key().public_bytes_raw()
        self._named = {"public_url": public_url} if public_url else {}
        self._spend = spend
        self._patience = patience  # with a body of which the headers' signature is right

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/device/v1/enrolments", self.enrol),
            web.get("/device/v1/time", self.time, allow_head=False),
            web.put(SHARE, self._call(self.put_share)),
            web.get(SHARE, self._call(self.get_share), allow_head=False),
            web.delete(SHARE, self._call(self.delete_share)),
            web.put(SHARE + "/objects/{number}", self.put_object),
            web.put(SHARE + "/manifests/{number}", self.put_manifest),
            web.put(LINK, self._call(self.put_link)),
            web.patch(LINK, self._call(self.renew_link)),
            web.delete(LINK, self._call(self.delete_link)),
        ]

    def _call(
        self, handler: Callable[[Call], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def read_then_handle(request: web.Request) -> web.StreamResponse:
            caller = request[CALLER]
            body = await bodies.read_checked(request, self._clock, caller.content_digest, self._patience)
            return await handler(Call(request, caller, _share_id(request), body))

        return read_then_handle

    async def enrol(self, request: web.Request) -> web.StreamResponse:
        self._spend(request)
        body = bodies.parse(EnrolmentBody, await bodies.read(request, self._clock))
        device_id = secrets.token_bytes(wire.ID_BYTES)
        code_id = wire.normal_code(body.code_id)
        key = await self._devices.enrol(code_id, body.public_key, body.mac, device_id, self._clock.now())
        mac = wire.vault_mac(key, body.public_key, device_id, self._vault_key)
        members = {"device_id": device_id, "vault_key": self._vault_key, "mac": mac}
        return answer(self._clock, {name: wire.b64u(raw) for name, raw in members.items()}, 201)

    async def time(self, request: web.Request) -> web.StreamResponse:
        await bodies.read_checked(request, self._clock, request[CALLER].content_digest, self._patience)
        return answer(self._clock, {})

    async def put_share(self, call: Call) -> web.StreamResponse:
        bodies.parse(ShareBody, call.body)
        new = await self._shares.make_share(call.caller.device_id, call.share_id, self._clock.now())
        return answer(self._clock, {}, 201 if new else 200)

    async def get_share(self, call: Call) -> web.StreamResponse:
        facts = await self._shares.facts(call.caller.device_id, call.share_id)
        now = self._clock.now()
        members = {
            "objects": facts.objects,
            "generation": facts.generation,
            "links": [_listed(link, now) for link in facts.links],
            "deleted": facts.deleted,
        }
        return answer(self._clock, members)

    async def delete_share(self, call: Call) -> web.StreamResponse:
        await self._shares.delete_share(call.caller.device_id, call.share_id, self._clock.now())
        await self._objects.delete_share(call.share_id)  # the sweep does it again, and notes that it is done
        return answer(self._clock, {})

    async def put_object(self, request: web.Request) -> web.StreamResponse:
        stored, new = await self._put(request, "object", OBJECT_BYTES)
        return answer(self._clock, {"size": stored.size}, 201 if new else 200)

    async def put_manifest(self, request: web.Request) -> web.StreamResponse:
        _, new = await self._put(request, "manifest", MANIFEST_BYTES)
        return answer(self._clock, {}, 201 if new else 200)

    async def _put(self, request: web.Request, kind: str, limit: int) -> tuple[Stored, bool]:
        """Bytes first, then the row: what the ledger names is always there."""
        caller = request[CALLER]
        name = ObjectName(_share_id(request), kind, number(request.match_info["number"]), caller.content_digest)
        if kind == "manifest" and name.number == 0:
            raise BadRequestError("Generations count from 1.")
        await self._shares.check_writable(caller.device_id, name.share_id)
        upload = await self._objects.begin()
        try:
            size, digest = 0, hashlib.sha256()
            async with aclosing(bodies.chunks(request, limit, self._clock, self._patience)) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    digest.update(chunk)
                    await upload.write(chunk)
            bodies.check_digest(digest.digest(), caller.content_digest)
            await upload.keep(name)
        finally:
            await upload.discard()
        stored = Stored(name, size)
        return stored, await self._name(caller, stored)

    async def _name(self, caller: Caller, stored: Stored) -> bool:
        try:
            kept = await self._shares.keep(caller.device_id, stored, self._clock.now())
        except VaultError as error:
            if isinstance(error, AlreadyDifferentError) or error.status in (404, 410):
                await self._objects.delete(stored.name)  # refused for good: no row names it
            raise
        if kept.unwanted:
            await self._objects.delete(kept.unwanted)
        return kept.new

    async def put_link(self, call: Call) -> web.StreamResponse:
        body = bodies.parse(LinkBody, call.body)
        new_link = NewLink(link_id=call.link_id, share_id=call.share_id, **dict(body))
        link, new = await self._links.make_link(call.caller.device_id, new_link, self._clock.now())
        return answer(self._clock, {"expires_at": link.expires_at, **self._named}, 201 if new else 200)

    async def renew_link(self, call: Call) -> web.StreamResponse:
        body = bodies.parse(RenewalBody, call.body)
        link = await self._links.renew_link(
            call.caller.device_id, call.share_id, call.link_id, body.expires_in_s, self._clock.now()
        )
        return answer(self._clock, {"expires_at": link.expires_at})

    async def delete_link(self, call: Call) -> web.StreamResponse:
        await self._links.destroy_link(call.caller.device_id, call.share_id, call.link_id, self._clock.now())
        return answer(self._clock, {})


def _share_id(request: web.Request) -> bytes:
    return wire.unb64u(request.match_info["share_id"], wire.ID_BYTES)


def _listed(link: Link, now: float) -> dict[str, object]:
    state = link.listed_state(now)
    return {
        "id": wire.b64u(link.link_id),
        "state": state,
        "expires_at": link.expires_at,
        "tries_left": 0 if state is LinkState.DESTROYED else MAX_TRIES - link.tries,
        "opened": link.opened,
        "last_opened_at": link.last_opened_at,
    }
