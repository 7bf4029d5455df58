"""What stands between the box and its vault: nothing is believed that the vault did not sign for this very request."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from aiohttp import web

from appliance.adapters.link_reader import LinkReader
from appliance.adapters.vault import HttpVault, Patience
from appliance.errors import FormatError, SettingsError, SlipwayError, VaultUnreachableError
from appliance.formats.wire import AnswerNotGenuineError
from tests.contract.conftest import Connect
from tests.contract.proxies import Authority, Habit, Passed, proxy, raw_server, serving
from tests.fakes.clock import FakeClock
from tests.vault.conftest import Served

SHARE = os.urandom(16)


# -- proxies that alter ------------------------------------------------------------------------------------------------


def _body(passed: Passed) -> Passed:
    passed.body = passed.body.replace(b"now", b"nOw")
    return passed


def _status(passed: Passed) -> Passed:
    passed.status = 200 if passed.status != 200 else 201
    return passed


def _without(name: str) -> Habit:
    def habit(passed: Passed) -> Passed:
        passed.headers = {key: value for key, value in passed.headers.items() if key.lower() != name.lower()}
        return passed

    return habit


def _digest(passed: Passed) -> Passed:
    """Body and its digest together: the signature must notice."""
    import base64
    import hashlib

    passed.body = b'{"expires_at": 9999999999, "now": 1795000000}'
    passed.headers["Content-Digest"] = f"sha-256=:{base64.b64encode(hashlib.sha256(passed.body).digest()).decode()}:"
    return passed


class _Replaying:
    """Answers everything with the first genuine answer."""

    def __init__(self) -> None:
        self.first: Passed | None = None

    def __call__(self, passed: Passed) -> Passed:
        self.first = self.first or passed
        return self.first


ALTERATIONS = {
    "the body": _body,
    "the status": _status,
    "body and digest": _digest,
    "no signature": _without("Signature"),
    "no signature input": _without("Signature-Input"),
    "no digest": _without("Content-Digest"),
}


@pytest.mark.parametrize("what", ALTERATIONS)
async def test_an_altered_answer_is_refused(served: Served, connect: Connect, what: str) -> None:
    async with proxy(served.url, ALTERATIONS[what]) as url, connect(url) as vault:
        with pytest.raises(AnswerNotGenuineError):
            await vault.put_share(SHARE)
        assert vault.last_error


async def test_a_genuine_answer_to_another_request_is_refused(served: Served, connect: Connect) -> None:
    async with proxy(served.url, _Replaying()) as url, connect(url) as vault:
        await vault.put_share(SHARE)
        with pytest.raises(AnswerNotGenuineError):
            await vault.put_share(SHARE)


async def test_an_altered_request_is_refused_by_the_vault_and_may_be_tried_again(
    served: Served, connect: Connect
) -> None:
    """The vault's refusal is genuine, but it is about the sending, not about what was sent."""
    import aiohttp

    async def alter(request: web.Request) -> web.Response:
        body = await request.read() + b" "
        headers = {name: value for name, value in request.headers.items() if name not in ("Host", "Content-Length")}
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, served.url + request.path, data=body, headers=headers) as answer,
        ):
            kept = {name: value for name, value in answer.headers.items() if "ignature" in name or "Digest" in name}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    async with serving(alter) as url, connect(url) as vault:
        with pytest.raises(VaultUnreachableError, match="try again"):
            await vault.put_share(SHARE)


async def test_a_replayed_request_does_nothing_twice(served: Served, connect: Connect) -> None:
    import aiohttp

    seen: list[int] = []

    async def twice(request: web.Request) -> web.Response:
        body = await request.read()
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                async with session.request(
                    request.method, served.url + request.path, data=body, headers=request.headers
                ) as answer:
                    seen.append(answer.status)
                    kept = {n: v for n, v in answer.headers.items() if "ignature" in n or "Digest" in n}
                    passed = web.Response(status=answer.status, body=await answer.read(), headers=kept)
        return passed

    async with serving(twice) as url, connect(url) as vault:
        with pytest.raises(VaultUnreachableError, match="try again"):
            await vault.put_share(SHARE)
    assert seen == [201, 401]


async def test_header_names_in_lower_case_are_no_alteration(served: Served, connect: Connect) -> None:
    """RFC 9110 section 5.1; HAProxy writes them so."""

    def lower(passed: Passed) -> Passed:
        passed.headers = {name.lower(): value for name, value in passed.headers.items()}
        return passed

    async with proxy(served.url, lower) as url, connect(url) as vault:
        await vault.put_share(SHARE)


async def test_an_answer_that_comes_in_pieces_is_read_to_its_end(served: Served, connect: Connect) -> None:
    """One byte at a time, as a proxy under load may do it."""

    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import aiohttp

        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers.get("Content-Length", 0)))
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, served.url + path, data=body, headers=headers) as answer,
        ):
            content = await answer.read()
            lines = [f"{n}: {v}" for n, v in answer.headers.items() if "ignature" in n or "Digest" in n]
        start = f"HTTP/1.1 {answer.status} OK\r\n" + "\r\n".join([*lines, f"Content-Length: {len(content)}"])
        writer.write(start.encode() + b"\r\n\r\n")
        for byte in content:
            await writer.drain()
            await asyncio.sleep(0.001)
            writer.write(bytes([byte]))
        await writer.drain()

    async with raw_server(dribble) as url, connect(url) as vault:
        await vault.put_share(SHARE)


STRANGERS = {
    "a captive portal": web.Response(text="<html>Accept our terms</html>", content_type="text/html"),
    "a redirect to one": web.Response(status=302, headers={"Location": "http://127.0.0.1:1/login"}),
    "a reverse proxy without its vault": web.Response(status=502, text="Bad Gateway"),
    "an error page": web.Response(status=404, text="not here"),
    "an empty answer": web.Response(status=201),
    "two megabytes": web.Response(body=bytes(2 << 20)),
}


@pytest.mark.parametrize("what", STRANGERS)
async def test_answers_of_strangers_can_be_tried_again_and_are_never_believed(connect: Connect, what: str) -> None:
    prepared = STRANGERS[what]

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=prepared.status, headers=prepared.headers.copy(), body=prepared.body)

    async with serving(answer) as url, connect(url) as vault:
        with pytest.raises(AnswerNotGenuineError) as raised:
            await vault.put_share(SHARE)
    assert raised.value.retry


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_vault_in_trouble_is_tried_again(connect: Connect, status: int) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from vault import wire as vault_wire

    key = Ed25519PrivateKey.generate()

    async def ill(request: web.Request) -> web.Response:
        body = b'{"error": {"code": "whatever", "message": "not now", "hint": ""}, "now": 1795000000}'
        signature = vault_wire.signature_bytes(request.headers["Signature"])
        headers = vault_wire.sign_answer(
            key, status=status, body=body, created=1_795_000_000, request_signature=signature
        )
        return web.Response(status=status, body=body, headers=headers)

    async with serving(ill) as url, connect(url, vault_key=key.public_key()) as vault:
        with pytest.raises(VaultUnreachableError) as raised:
            await vault.put_share(SHARE)
    assert raised.value.retry


# -- silence -----------------------------------------------------------------------------------------------------------

IMPATIENT = Patience(connect_s=0.3, silence_s=0.3, slowest_bytes_per_s=100 << 20)


async def test_a_vault_that_never_answers_is_given_up(connect: Connect) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            pass

    async with raw_server(swallow) as url, connect(url, patience=IMPATIENT) as vault:
        with pytest.raises(VaultUnreachableError):
            await asyncio.wait_for(vault.put_object(SHARE, 0, b"x" * 1000), 5)


async def test_a_vault_that_reads_nothing_is_given_up(connect: Connect) -> None:
    """Silence while the request is still going out: no read is waited for, so no limit on reading applies."""

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with raw_server(deaf) as url, connect(url, patience=IMPATIENT) as vault:
        with pytest.raises(VaultUnreachableError):
            await asyncio.wait_for(vault.put_object(SHARE, 0, bytes(32 << 20)), 5)


async def test_a_line_that_is_dead_in_the_middle_of_an_upload_is_noticed_before_the_uploads_time_is_over(
    connect: Connect,
) -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    patient = Patience(slowest_bytes_per_s=1, stalled_s=0.3)
    async with raw_server(deaf) as url, connect(url, patience=patient) as vault:
        with pytest.raises(VaultUnreachableError):
            await asyncio.wait_for(vault.put_object(SHARE, 0, bytes(32 << 20)), 20)


async def test_a_vault_that_hangs_up_is_unreachable(connect: Connect) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)

    async with raw_server(hang_up) as url, connect(url) as vault:
        with pytest.raises(VaultUnreachableError, match="does not answer"):
            await vault.put_share(SHARE)


async def test_a_name_that_does_not_resolve_is_unreachable(connect: Connect) -> None:
    async with connect("https://vault.invalid") as vault:
        with pytest.raises(VaultUnreachableError, match=r"vault\.invalid"):
            await vault.put_share(SHARE)


# -- TLS ---------------------------------------------------------------------------------------------------------------


async def requests_to(
    authority: Authority, connect: Connect, *, ca_file: str = "", **server: object
) -> tuple[SlipwayError | None, int]:
    """What came of one request to a server with that authority's certificate, and how many requests it saw."""
    seen = 0

    async def count(_: web.Request) -> web.Response:
        nonlocal seen
        seen += 1
        return web.Response(status=502)

    async with (
        serving(count, authority.server(**server)) as url,  # type: ignore[arg-type]
        connect(url, ca_file=ca_file) as vault,
    ):
        try:
            await vault.put_share(SHARE)
        except SlipwayError as error:
            return error, seen
    return None, seen


async def test_an_inspecting_proxy_is_named_and_gets_no_request(connect: Connect, tmp_path: Path) -> None:
    """T-NE-08."""
    error, seen = await requests_to(Authority("Hospital Web Inspection CA", tmp_path), connect)
    assert isinstance(error, VaultUnreachableError)
    assert "Hospital Web Inspection CA" in error.summary
    assert "ca_file" in error.hint
    assert seen == 0


async def test_a_hospitals_own_authority_can_be_trusted(connect: Connect, tmp_path: Path) -> None:
    authority = Authority("Hospital Web Inspection CA", tmp_path)
    error, seen = await requests_to(authority, connect, ca_file=str(authority.ca_file))
    assert seen == 1
    assert isinstance(error, AnswerNotGenuineError)  # trusted on the way, still not the vault


async def test_an_expired_certificate_is_refused(connect: Connect, tmp_path: Path) -> None:
    authority = Authority("Own CA", tmp_path)
    error, seen = await requests_to(authority, connect, ca_file=str(authority.ca_file), days=(-30, -1))
    assert isinstance(error, VaultUnreachableError)
    assert "expired" in error.summary
    assert seen == 0


async def test_a_certificate_for_another_name_is_refused(connect: Connect, tmp_path: Path) -> None:
    authority = Authority("Own CA", tmp_path)
    error, seen = await requests_to(authority, connect, ca_file=str(authority.ca_file), address="10.0.0.1")
    assert isinstance(error, VaultUnreachableError)
    assert seen == 0


async def test_one_connection_serves_many_requests_with_an_own_authority(connect: Connect, tmp_path: Path) -> None:
    authority = Authority("Own CA", tmp_path)
    peers = set()

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(status=404, text="no vault")

    async with (
        serving(answer, authority.server()) as url,
        connect(url, ca_file=str(authority.ca_file)) as vault,
    ):
        for _ in range(5):
            with pytest.raises(AnswerNotGenuineError):
                await vault.put_share(SHARE)
    assert len(peers) == 1


@pytest.mark.parametrize("content", [None, b"not a certificate"])
def test_a_ca_file_that_is_none_is_a_mistake_in_the_settings(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match="ca_file"):
        HttpVault(None, str(path), FakeClock().now)


# -- the reference reader ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["<html>portal</html>", "[]", "{}", '{"factor": 7}', ""])
async def test_the_reader_knows_that_a_portal_is_no_vault(body: str) -> None:
    async def portal(_: web.Request) -> web.Response:
        return web.Response(text=body)

    async with serving(portal) as url, LinkReader(url, os.urandom(16)) as reader:
        for asked in (reader.factor(), reader.open(os.urandom(32)), reader.manifest("token")):
            with pytest.raises(FormatError):
                await asked


async def test_the_reader_notices_an_object_that_is_too_short() -> None:
    async def short(_: web.Request) -> web.Response:
        return web.Response(body=b"123")

    async with serving(short) as url, LinkReader(url, os.urandom(16)) as reader:
        with pytest.raises(FormatError):
            await reader.object_range("token", 0, 0, 10)
