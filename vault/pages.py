"""The patient's page: the files of one built folder, read once at the start.

The same bytes for everyone, whichever share is opened.

Holding them in memory leaves no path to build from a request, and no page that changes under a running service.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from vault.downloads import is_unchanged
from vault.errors import NotFoundError, UnavailableError

INSTALLED = Path("/usr/share/slipway-vault/viewer")
IN_CHECKOUT = Path(__file__).resolve().parent.parent / "viewer" / "dist"

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",  # anything else and browsers refuse to compile it while it streams
    ".txt": "text/plain; charset=utf-8",
}
COMPRESSIBLE = {".html", ".js", ".mjs", ".css", ".json", ".webmanifest", ".svg", ".wasm", ".txt"}

_HASHED = re.compile(r"assets/.*-[A-Za-z0-9_-]{8}\.[a-z0-9]+")  # as Vite names them

CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "worker-src 'self'",
        "connect-src 'self'",
        "img-src 'self' blob: data:",
        "media-src blob:",
        "style-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Server": "slipway-vault",
}
HSTS = "max-age=63072000; includeSubDomains"  # two years, in seconds


@dataclass(frozen=True)
class Page:
    body: bytes
    compressed: bytes | None  # gzip, where that is smaller
    content_type: str
    etag: str
    immutable: bool


def folder(setting: str) -> Path:
    """The built page: as set, else the checkout's, else the package's."""
    if setting:
        return Path(setting)
    return IN_CHECKOUT if IN_CHECKOUT.is_dir() else INSTALLED


def load(root: Path) -> dict[str, Page]:
    """By path below the root. Empty when there is no such folder; hidden files and unknown types are left out."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix in CONTENT_TYPES)
    names = {path.relative_to(root).as_posix(): path for path in files}
    return {name: _page(name, path) for name, path in names.items() if not re.search(r"(^|/)\.", name)}


def _page(name: str, path: Path) -> Page:
    body = path.read_bytes()
    compressed = gzip.compress(body, mtime=0) if path.suffix in COMPRESSIBLE else None
    return Page(
        body=body,
        compressed=compressed if compressed and len(compressed) < len(body) else None,
        content_type=CONTENT_TYPES[path.suffix],
        etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        immutable=_HASHED.fullmatch(name) is not None,
    )


class Pages:
    def __init__(self, pages: dict[str, Page]) -> None:
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/", self.serve), web.get("/{name:.+}", self.serve)]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("name", "index.html")
        page = self._pages.get(name)
        if page is None:
            raise NotFoundError if name != "index.html" else _not_installed()
        caching = "public, max-age=31536000, immutable" if page.immutable else "no-cache"
        headers = {"ETag": page.etag, "Cache-Control": caching, "Vary": "Accept-Encoding"}
        if is_unchanged(request, page.etag):
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = page.content_type
        if page.compressed and "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return web.Response(body=page.compressed, headers=headers)
        return web.Response(body=page.body, headers=headers)


def _not_installed() -> UnavailableError:
    return UnavailableError(
        "The patient's page is not installed.",
        hint="Operator: build it (make setup) or set [http] viewer, then restart.",
    )
