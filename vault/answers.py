"""JSON answers and their one error shape (docs/wire.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp import web

from vault.errors import VaultError
from vault.ports import Clock


def answer(clock: Clock, members: Mapping[str, object], status: int = 200) -> web.Response:
    """Every JSON answer has `now`, whole seconds by the vault's clock."""
    body = json.dumps({**members, "now": int(clock.now())}, ensure_ascii=False, separators=(",", ":"))
    return web.Response(
        status=status, text=body, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def refusal(clock: Clock, error: VaultError) -> web.Response:
    shape = {"code": error.code, "message": error.summary, "hint": error.hint}
    response = answer(clock, {"error": shape, **error.extra}, error.status)
    response.headers.update(error.headers)
    return response
