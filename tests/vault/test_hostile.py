from __future__ import annotations

import asyncio

import pytest

from tests.vault.conftest import Link, Served, Share, b64u

TRAVERSALS = [
    "/../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..%2f..%2fetc%2fpasswd",
    "/assets/../../ledger.db",
    "/assets/..%5c..%5cledger.db",
    "//etc/passwd",
    "/%00",
    "/.done",
    "/api/v1/links/..%2f..%2fledger.db",
    "/api/v1/objects/..%2f0",
]


@pytest.mark.parametrize("path", TRAVERSALS)
async def test_no_path_leads_out_of_the_page(served: Served, path: str) -> None:
    answer = await served.ask("GET", path)
    assert answer.status in (400, 401, 404)
    assert b"root:" not in answer.body
    assert b"SQLite" not in answer.body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"proof"',
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"proof":' * 5_000,
        b'{"proof": 1e999}',
        b'{"proof": "' + b"A" * 60_000 + b'"}',
        b'{"proof": {"proof": "x"}}',
        b'{"proof": "\\ud800"}',
    ],
)
async def test_garbage_is_refused_and_costs_no_try(link: Link, body: bytes) -> None:
    answer = await link.served.ask("POST", f"/api/v1/links/{link.link_id}/open", body)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert (await link.look()).json["tries_left"] == 5


@pytest.mark.parametrize("name", ["x", "A" * 23, "A" * 21 + "=", "..%2f..%2f", "%00" * 22, "A" * 21 + "B", "é" * 11])
async def test_an_id_is_16_bytes_in_one_spelling_only(share: Share, name: str) -> None:
    from urllib.parse import quote

    path = f"/device/v1/shares/{quote(name, safe='%')}"
    headers = share.box.sign("PUT", path, b"{}")
    answer = await share.box.served.ask("PUT", path, b"{}", headers)
    assert (answer.status, answer.code) == (400, "bad_request")


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: " + "x" * 70_000 + "\r\n",
        "GET /" + "x" * 70_000 + " HTTP/1.1\r\nHost: a\r\n",
        "\x16\x03\x01\x02\x00\x01\x00",
        "GET / HTTP/1.1\r\nHost: a\r\n" + "".join(f"X{n}: y\r\n" for n in range(200)),
    ],
)
async def test_what_is_not_http_is_refused_and_the_vault_goes_on(
    served: Served, head: str, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
    writer.write(head.encode("latin-1") + b"\r\n")
    async with asyncio.timeout(10):
        line = await reader.readline()
    writer.close()
    assert b" 400 " in line
    assert (await served.ask("GET", "/healthz")).status == 200
    assert "127.0.0.1" not in caplog.text


async def test_a_method_that_does_not_exist_is_refused_in_the_wires_shape(link: Link) -> None:
    answer = await link.served.ask("DELETE", f"/api/v1/links/{link.link_id}")
    assert (answer.status, answer.code) == (405, "method_not_allowed")


async def test_a_bug_shows_and_logs_nothing_of_the_request(
    link: Link, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(link_id: bytes) -> None:
        raise RuntimeError(b64u(link_id))

    monkeypatch.setattr(link.served.vault.ledger, "link", broken)
    answer = await link.look()
    assert (answer.status, answer.code) == (500, "failed")
    assert link.link_id not in answer.body.decode() + caplog.text
    assert "RuntimeError" in caplog.text
