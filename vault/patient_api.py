"""What the patient's page asks for, under /api/v1.

A GET or HEAD counts nothing and consumes nothing: link previews open links.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Annotated

import pydantic
from aiohttp import web

from vault import bodies, wire
from vault.answers import answer
from vault.core import LINK, TOKEN_GOOD_S, Link, LinkEvent, after
from vault.downloads import Downloads
from vault.errors import BadRequestError, LinkUnknownError, ManifestPendingError, ObjectUnknownError, TokenUnknownError
from vault.ports import Clock, Links, Objects, Shares
from vault.tokens import Tokens

MAX_OBJECT_NUMBER = 2**31 - 1


class OpenBody(pydantic.BaseModel):
    proof: Annotated[bytes, bodies.Key]


def number(text: str) -> int:
    """A canonical decimal; raises BadRequestError."""
    if not text.isascii() or not text.isdigit() or len(text) > 10 or str(int(text)) != text:
        raise BadRequestError("Not a number of an object or a generation.")
    if int(text) > MAX_OBJECT_NUMBER:
        raise BadRequestError("The number is too large.")
    return int(text)


class PatientApi:
    def __init__(
        self,
        *,
        links: Links,
        shares: Shares,
        objects: Objects,
        clock: Clock,
        tokens: Tokens,
        spend: Callable[[web.Request], None],
    ) -> None:
        self._links = links
        self._shares = shares
        self._clock = clock
        self._tokens = tokens
        self._spend = spend  # raises TooManyRequestsError when the request's address asks too often
        self._downloads = Downloads(objects, clock)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/links/{link_id}", self.look),
            web.post("/api/v1/links/{link_id}/open", self.open),
            web.get("/api/v1/manifest", self.manifest),
            web.get("/api/v1/objects/{number}", self.object),
        ]

    async def look(self, request: web.Request) -> web.StreamResponse:
        self._spend(request)
        link = await self._links.link(_link_id(request))
        if link is None:
            raise LinkUnknownError
        state = after(LINK, link.state(self._clock.now()), LinkEvent.ASKED)
        shown = {"state": state, "factor": link.factor, "expires_at": link.expires_at, "tries_left": link.tries_left}
        return answer(self._clock, shown)

    async def open(self, request: web.Request) -> web.StreamResponse:
        self._spend(request)
        link_id = _link_id(request)
        body = bodies.parse(OpenBody, await bodies.read(request, self._clock))
        verifier = hashlib.sha256(body.proof).digest()
        now = self._clock.now()
        opened = await self._links.open_link(link_id, lambda right: hmac.compare_digest(right, verifier), now)
        good_until = min(opened.link.expires_at, int(now) + TOKEN_GOOD_S)
        members = {
            "share_id": wire.b64u(opened.link.share_id),
            "share_key": wire.b64u(opened.share_key),
            "envelope": wire.b64u(opened.envelope),
            "token": self._tokens.issue(link_id, good_until),
            "token_expires_at": good_until,
            "expires_at": opened.link.expires_at,
        }
        return answer(self._clock, members)

    async def manifest(self, request: web.Request) -> web.StreamResponse:
        link = await self._admitted(request)
        stored = await self._shares.manifest(link.share_id)
        if stored is None:
            raise ManifestPendingError
        headers = {"Cache-Control": "no-store", "Slipway-Generation": str(stored.name.number)}
        try:
            return await self._downloads.send(request, stored, headers, lambda: self._alive(link.link_id))
        except ObjectUnknownError:
            newer = await self._shares.manifest(link.share_id)
            if newer is None or newer == stored:
                raise
            return await self.manifest(request)  # replaced between the ledger's answer and the opening of the file

    async def object(self, request: web.Request) -> web.StreamResponse:
        link = await self._admitted(request)
        stored = await self._shares.object(link.share_id, number(request.match_info["number"]))
        if stored is None:
            raise ObjectUnknownError
        headers = {"Cache-Control": "no-store"}
        return await self._downloads.send(request, stored, headers, lambda: self._alive(link.link_id))

    async def _admitted(self, request: web.Request) -> Link:
        try:
            link_id = self._tokens.link_id(request.headers.get("Authorization", ""), self._clock.now())
        except TokenUnknownError:
            self._spend(request)  # only guesses cost; a page that reads its images asks often
            raise
        return await self._alive(link_id)

    async def _alive(self, link_id: bytes) -> Link:
        """Raises as core.LINK says of FETCHED."""
        link = await self._links.link(link_id)
        if link is None:
            raise TokenUnknownError
        link.check_fetchable(self._clock.now())
        return link


def _link_id(request: web.Request) -> bytes:
    return wire.unb64u(request.match_info["link_id"], wire.ID_BYTES)
