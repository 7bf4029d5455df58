from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.vault.conftest import Running, Served

CSP = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src blob:; style-src 'self'; font-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
INDEX = b"<!doctype html><title>Slipway</title>" + b"<p>x</p>" * 100


@pytest.fixture
def viewer(tmp_path: Path) -> Path:
    root = tmp_path / "dist"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_bytes(INDEX)
    (root / "assets" / "index-B1x_9aZ-.js").write_bytes(b"import './a'" * 50)
    (root / "assets" / "codec-B1x_9aZ0.wasm").write_bytes(b"\0asm")
    (root / "sw.js").write_bytes(b"//")
    (root / ".done").write_bytes(b"")
    (root / ".secret.txt").write_bytes(b"x")
    return root


async def test_the_page_is_served_with_its_strict_headers(run_vault: Running, viewer: Path) -> None:
    async with run_vault(viewer=viewer, public_url="https://vault.example.org") as served:
        answer = await served.ask("GET", "/")
    assert (answer.status, answer.body) == (200, INDEX)
    expected = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-cache",
        "Content-Security-Policy": CSP,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    assert {name: answer.headers[name] for name in expected} == expected
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    assert "aiohttp" not in answer.headers["Server"]


async def test_over_plain_http_no_hsts_is_claimed(run_vault: Running, viewer: Path) -> None:
    async with run_vault(viewer=viewer, public_url="http://vault.example.org") as served:
        assert "Strict-Transport-Security" not in (await served.ask("GET", "/")).headers


async def test_hashed_assets_are_cached_for_ever_and_the_rest_is_asked_again(run_vault: Running, viewer: Path) -> None:
    async with run_vault(viewer=viewer) as served:
        hashed = await served.ask("GET", "/assets/index-B1x_9aZ-.js")
        wasm = await served.ask("GET", "/assets/codec-B1x_9aZ0.wasm")
        worker = await served.ask("GET", "/sw.js")
    assert hashed.headers["Cache-Control"] == wasm.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert wasm.headers["Content-Type"] == "application/wasm"
    assert worker.headers["Cache-Control"] == "no-cache"


async def test_a_page_that_the_browser_has_is_not_sent_again(run_vault: Running, viewer: Path) -> None:
    async with run_vault(viewer=viewer) as served:
        tag = (await served.ask("GET", "/")).headers["ETag"]
        assert (await served.ask("GET", "/", headers={"If-None-Match": tag})).status == 304


async def test_a_browser_that_can_unzip_gets_fewer_bytes(run_vault: Running, viewer: Path) -> None:
    async with run_vault(viewer=viewer) as served:
        answer = await served.ask("GET", "/", headers={"Accept-Encoding": "br, gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.body) == INDEX


@pytest.mark.parametrize("path", ["/.done", "/.secret.txt", "/nothing", "/assets", "/assets/", "/index.html/"])
async def test_nothing_but_the_pages_files_is_served(run_vault: Running, viewer: Path, path: str) -> None:
    async with run_vault(viewer=viewer) as served:
        answer = await served.ask("GET", path)
    assert (answer.status, answer.code) == (404, "not_found")


async def test_without_a_built_page_the_answer_says_what_to_do(served: Served) -> None:
    answer = await served.ask("GET", "/")
    assert (answer.status, answer.code) == (503, "unavailable")
    assert "make setup" in answer.json["error"]["hint"]


async def test_the_api_is_never_cached_and_bears_the_headers_too(served: Served) -> None:
    answer = await served.ask("GET", "/api/v1/nothing")
    assert (answer.headers["Cache-Control"], answer.headers["Content-Security-Policy"]) == ("no-store", CSP)


async def test_health_is_good_while_ledger_and_objects_answer(served: Served) -> None:
    assert (await served.ask("GET", "/healthz")).status == 200
    (served.folder / "objects" / "shares").rmdir()
    assert (await served.ask("GET", "/healthz")).status == 503
