"""Puts the vault together: ports in, one aiohttp application out. Middlewares, headers and the health check live here.

Nothing is logged of a request but the kind of an unexpected failure: paths hold link ids, headers hold tokens, peers
are patients.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault import device_signatures, pages
from vault.answers import answer, refusal
from vault.bodies import WITH_BOXES, Patience
from vault.device_api import DeviceApi
from vault.errors import BadRequestError, MethodNotAllowedError, NotFoundError, VaultError
from vault.identity import token_key
from vault.limits import Addresses, Limiter, Network
from vault.patient_api import PatientApi
from vault.ports import Clock, Ledger, Objects
from vault.tokens import Tokens

LOG = logging.getLogger("slipway.vault")
API_PREFIXES = ("/api/", "/device/", "/healthz")


@dataclass(frozen=True)
class Vault:
    """What the app is made of."""

    ledger: Ledger
    objects: Objects
    clock: Clock
    identity: Ed25519PrivateKey
    viewer: Path
    public_url: str = ""
    trusted_proxies: tuple[Network, ...] = ()
    requests_per_minute: int = 120
    patience: Patience = WITH_BOXES


def make_app(vault: Vault) -> web.Application:
    limiter = Limiter(vault.clock, vault.requests_per_minute)
    addresses = Addresses(vault.trusted_proxies)

    def spend(request: web.Request) -> None:
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
        limiter.take(addresses.of(request.remote, forwarded))

    patient = PatientApi(
        links=vault.ledger,
        shares=vault.ledger,
        objects=vault.objects,
        clock=vault.clock,
        tokens=Tokens(token_key(vault.identity)),
        spend=spend,
    )
    device = DeviceApi(
        devices=vault.ledger,
        shares=vault.ledger,
        links=vault.ledger,
        objects=vault.objects,
        clock=vault.clock,
        identity=vault.identity,
        public_url=vault.public_url,
        spend=spend,
        patience=vault.patience,
    )
    # Outermost first: a refusal becomes an answer before the answer is signed.
    app = web.Application(middlewares=[_signing(vault), _refusing(vault), _admitting(vault, spend)])
    app.add_routes([*patient.routes(), *device.routes(), web.get("/healthz", _health(vault))])
    app.add_routes(pages.Pages(pages.load(vault.viewer)).routes())
    app.on_response_prepare.append(_headers(vault))
    return app


def _signing(vault: Vault) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if device_signatures.is_signed(request) and isinstance(response, web.Response):
            device_signatures.sign(request, response, vault.identity, vault.clock)
        return response

    return middleware


def _refusing(vault: Vault) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except VaultError as error:
            if error.status >= 500:
                _log_failure(error)
            return refusal(vault.clock, error)
        except web.HTTPException as error:
            return refusal(vault.clock, _as_refusal(error))
        except Exception as error:  # noqa: BLE001 - the one place; a bug must not show its inside to anyone
            _log_unexpected(error)
            return refusal(vault.clock, VaultError())

    return middleware


def _as_refusal(error: web.HTTPException) -> VaultError:
    """aiohttp's own answers (no such route or method) in the wire's shape."""
    if isinstance(error, web.HTTPNotFound):
        return NotFoundError()
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowedError(error.allowed_methods)
    return BadRequestError(error.reason)


def _log_failure(error: VaultError) -> None:
    LOG.error("%s: %s", error.code, type(error.__cause__).__name__)


def _log_unexpected(error: Exception) -> None:
    """Type and place, not the message: an exception's text can hold what a request held."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    LOG.error("unexpected %s at %s", type(error).__name__, place)


def _admitting(vault: Vault, spend: Callable[[web.Request], None]) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if device_signatures.is_signed(request):
            try:
                request[device_signatures.CALLER] = await device_signatures.admit(request, vault.ledger, vault.clock)
            except VaultError:
                spend(request)  # only refusals cost: a box uploads as fast as it can
                raise
        return await handler(request)

    return middleware


def _headers(vault: Vault) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(pages.HEADERS)
        if request.path.startswith(API_PREFIXES):
            response.headers["Cache-Control"] = "no-store"
        if vault.public_url.startswith("https://"):
            response.headers["Strict-Transport-Security"] = pages.HSTS

    return prepare


def _health(vault: Vault) -> Handler:
    async def health(_request: web.Request) -> web.StreamResponse:
        await vault.ledger.check()
        await vault.objects.check()
        return answer(vault.clock, {"ok": True})

    return health
