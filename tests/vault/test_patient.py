from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import secrets
from collections import Counter

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vault.conftest import VECTORS, Link, Running, Served, Share, b64u, unb64u
from vault.downloads import parse_range
from vault.errors import RangeUnsatisfiableError

WRONG = bytes(32)
MIB = 1 << 20


async def test_a_link_shows_its_factor_and_nothing_that_opens_it(link: Link) -> None:
    answer = await link.look()
    now = int(link.served.clock.now())
    expected = {"state": "active", "factor": "birth-date", "expires_at": now + 3600, "tries_left": 5, "now": now}
    assert (answer.json, answer.headers["Cache-Control"]) == (expected, "no-store")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["kind"])
async def test_the_vectors_proof_opens_the_vectors_link(share: Share, vector: dict[str, str]) -> None:
    named = {"factor": vector["kind"]} | {name: vector[name] for name in ("verifier", "share_key", "envelope")}
    link = await share.link(**named)
    answer = await link.open(unb64u(vector["proof"]))
    assert {name: answer.json[name] for name in ("share_id", "share_key", "envelope")} == {
        "share_id": share.share_id,
        "share_key": vector["share_key"],
        "envelope": vector["envelope"],
    }


async def test_a_wrong_proof_costs_a_try_for_good(link: Link) -> None:
    answer = await link.open(WRONG)
    assert (answer.status, answer.code, answer.json["tries_left"]) == (401, "wrong_factor", 4)
    assert "share_key" not in answer.json
    assert (await link.open()).status == 200
    assert (await link.look()).json["tries_left"] == 4


async def test_a_right_proof_gives_its_try_back(link: Link) -> None:
    for _ in range(8):
        assert (await link.open()).status == 200
    assert (await link.look()).json["tries_left"] == 5


async def test_five_wrong_proofs_lock_the_link_for_its_life(link: Link) -> None:
    assert [(await link.open(WRONG)).json["tries_left"] for _ in range(5)] == [4, 3, 2, 1, 0]
    for answer in (await link.open(), await link.look()):
        assert (answer.status, answer.code) == (423, "link_locked")


async def test_the_last_try_may_be_the_right_one(link: Link) -> None:
    for _ in range(4):
        await link.open(WRONG)
    assert (await link.open()).status == 200
    assert (await link.open()).status == 200


async def test_a_thousand_guesses_at_once_get_five_tries(run_vault: Running) -> None:
    async with run_vault(trusted_proxies=(ipaddress.ip_network("127.0.0.1"),), requests_per_minute=10) as served:
        link = await (await (await served.box()).share()).link()
        guesses = (
            link.open(secrets.token_bytes(32), {"X-Forwarded-For": f"10.0.{n // 250}.{n % 250}"}) for n in range(1000)
        )
        answers = Counter(answer.status for answer in await asyncio.gather(*guesses))
        assert answers == {401: 5, 423: 995}
        assert (await link.open()).status == 423


async def test_right_and_wrong_proofs_at_once_never_give_more_than_five_wrong_ones(link: Link) -> None:
    proofs = [link.proof if n % 3 == 0 else WRONG for n in range(120)]
    answers = await asyncio.gather(*(link.open(proof) for proof in proofs))
    assert Counter(answer.status for answer in answers)[401] == 5
    assert (await link.look()).status == 423


async def test_looking_never_counts(link: Link) -> None:
    for method in ("GET", "HEAD") * 10:
        assert (await link.look(method)).status == 200
    for method in ("GET", "HEAD"):
        opened = await link.served.ask(method, f"/api/v1/links/{link.link_id}/open")
        assert opened.status == 404
    listed = (await link.share.facts())["links"][0]
    assert (listed["opened"], listed["tries_left"]) == (0, 5)


@pytest.mark.parametrize("proof", ["", "x", b64u(bytes(31)), b64u(bytes(33)), 5, None, "é" * 43])
async def test_a_malformed_proof_costs_nothing(link: Link, proof: object) -> None:
    answer = await link.served.ask("POST", f"/api/v1/links/{link.link_id}/open", {"proof": proof})
    assert (answer.status, answer.code) == (400, "bad_request")
    assert (await link.look()).json["tries_left"] == 5


async def test_an_unknown_link_is_unknown(served: Served) -> None:
    path = f"/api/v1/links/{b64u(b'u' * 16)}"
    assert (await served.ask("GET", path)).code == "link_unknown"
    assert (await served.ask("POST", path + "/open", {"proof": b64u(WRONG)})).code == "link_unknown"


# Reading


async def test_before_the_first_manifest_the_page_is_told_to_wait(link: Link) -> None:
    answer = await link.served.ask("GET", "/api/v1/manifest", headers=await link.token())
    assert (answer.status, answer.code) == (404, "manifest_pending")


async def test_the_newest_manifest_comes_with_its_generation(link: Link) -> None:
    await link.share.put_manifest(1, b"one")
    await link.share.put_manifest(2, b"two")
    answer = await link.served.ask("GET", "/api/v1/manifest", headers=await link.token())
    assert (answer.body, answer.headers["Slipway-Generation"]) == (b"two", "2")
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == ("application/octet-stream", "no-store")


async def test_a_manifest_that_the_page_has_is_not_sent_again(link: Link) -> None:
    token = await link.token()
    await link.share.put_manifest(1, b"one")
    first = await link.served.ask("GET", "/api/v1/manifest", headers=token)
    having = {**token, "If-None-Match": first.headers["ETag"]}
    second = await link.served.ask("GET", "/api/v1/manifest", headers=having)
    assert (second.status, second.body, second.headers["Slipway-Generation"]) == (304, b"", "1")
    await link.share.put_manifest(2, b"two")
    assert (await link.served.ask("GET", "/api/v1/manifest", headers=having)).body == b"two"


@pytest.mark.parametrize(
    ("wanted", "status", "expected", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=3-2", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("pages=1-2", 200, b"0123456789", None),
        ("", 200, b"0123456789", None),
    ],
)
async def test_an_object_can_be_read_in_ranges(
    link: Link, wanted: str, status: int, expected: bytes, content_range: str | None
) -> None:
    await link.share.put(7, b"0123456789")
    headers = {**await link.token(), "Range": wanted}
    answer = await link.served.ask("GET", "/api/v1/objects/7", headers=headers)
    assert (answer.status, answer.body, answer.headers.get("Content-Range")) == (status, expected, content_range)


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=99-100", "bytes=-0"])
async def test_a_range_beyond_the_object_is_refused_with_its_size(link: Link, wanted: str) -> None:
    await link.share.put(0, b"0123456789")
    answer = await link.served.ask("GET", "/api/v1/objects/0", headers={**await link.token(), "Range": wanted})
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */10")


async def test_a_large_object_comes_out_as_it_went_in(link: Link) -> None:
    body = secrets.token_bytes(8 * MIB)
    await link.share.put(0, body)
    answer = await link.served.ask("GET", "/api/v1/objects/0", headers=await link.token())
    assert answer.body == body


async def test_a_head_gives_the_size_and_no_body(link: Link) -> None:
    await link.share.put(0, b"0123456789")
    answer = await link.served.ask("HEAD", "/api/v1/objects/0", headers=await link.token())
    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "10", b"")


async def test_an_object_that_is_not_there_is_unknown(link: Link) -> None:
    answer = await link.served.ask("GET", "/api/v1/objects/0", headers=await link.token())
    assert (answer.status, answer.code) == (404, "object_unknown")


async def test_a_token_opens_its_own_share_only(link: Link) -> None:
    await link.share.put(0, b"mine")
    other = await (await link.share.box.share()).link()
    assert (await link.served.ask("GET", "/api/v1/objects/0", headers=await other.token())).code == "object_unknown"


# Tokens


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic abc", f"Bearer {b64u(bytes(56))}"])
async def test_without_a_right_token_nothing_is_read(link: Link, header: str) -> None:
    await link.share.put(0, b"x")
    answer = await link.served.ask("GET", "/api/v1/objects/0", headers={"Authorization": header})
    assert (answer.status, answer.code) == (401, "token_unknown")


@pytest.mark.parametrize("at", [0, 15, 16, 23, 24, 40, 55], ids=lambda at: f"byte {at}")
async def test_a_token_with_one_changed_bit_is_unknown(link: Link, at: int) -> None:
    """Bytes 0 to 15 name the link, 16 to 23 the time, the rest proves that the vault wrote both."""
    token = bytearray(unb64u((await link.token())["Authorization"].removeprefix("Bearer ")))
    token[at] ^= 1
    headers = {"Authorization": f"Bearer {b64u(bytes(token))}"}
    assert (await link.served.ask("GET", "/api/v1/manifest", headers=headers)).code == "token_unknown"


async def test_a_token_cannot_be_made_for_a_link_that_somebody_knows(link: Link) -> None:
    forged = unb64u(link.link_id) + (2**40).to_bytes(8, "big") + hmac.digest(b"", b"", "sha256")
    headers = {"Authorization": f"Bearer {b64u(forged)}"}
    assert (await link.served.ask("GET", "/api/v1/manifest", headers=headers)).code == "token_unknown"


async def test_a_token_ends_at_its_time_though_the_link_lives_on(share: Share) -> None:
    link = await share.link(expires_in_s=30 * 86400)
    answer = await link.open()
    token = {"Authorization": f"Bearer {answer.json['token']}"}
    left_s = answer.json["token_expires_at"] - int(link.served.clock.now())
    await link.served.clock.advance(left_s - 1)
    assert (await link.served.ask("GET", "/api/v1/manifest", headers=token)).code == "manifest_pending"
    await link.served.clock.advance(1)
    assert (await link.served.ask("GET", "/api/v1/manifest", headers=token)).code == "token_unknown"
    assert (await link.open()).status == 200


async def test_a_token_is_dead_the_moment_its_link_is_revoked(link: Link) -> None:
    await link.share.put(0, b"x")
    token = await link.token()
    await link.revoke()
    answer = await link.served.ask("GET", "/api/v1/objects/0", headers=token)
    assert (answer.status, answer.code) == (410, "link_revoked")


async def test_a_token_is_dead_the_moment_its_link_expires_early(link: Link) -> None:
    """The token was issued for an hour; staff then shortened the link."""
    await link.share.put(0, b"x")
    token = await link.token()
    await link.renew(60)
    await link.served.clock.advance(60)
    answer = await link.served.ask("GET", "/api/v1/objects/0", headers=token)
    assert (answer.status, answer.code) == (410, "link_expired")


async def test_guessing_at_a_link_does_not_shut_out_who_has_opened_it(link: Link) -> None:
    await link.share.put(0, b"x")
    token = await link.token()
    for _ in range(5):
        await link.open(WRONG)
    assert (await link.served.ask("GET", "/api/v1/objects/0", headers=token)).body == b"x"
    await link.served.clock.advance(3600)
    assert (await link.served.ask("GET", "/api/v1/objects/0", headers=token)).status in (401, 410)


async def drain(response: aiohttp.ClientResponse, seen: list[int]) -> None:
    while chunk := await response.content.readany():
        seen.append(len(chunk))


@pytest.mark.parametrize("way", ["revoked", "expired", "deleted"])
async def test_a_stream_stops_when_its_link_dies_on_the_way(link: Link, way: str) -> None:
    size = 48 * MIB
    await link.share.put_manifest(1, bytes(size))
    token = await link.token()
    seen: list[int] = []
    async with link.served.session.get(link.served.url + "/api/v1/manifest", headers=token) as response:
        await response.content.read(1000)  # the rest waits
        await link.served.clock.until_asleep()
        if way == "revoked":
            await link.revoke()
        elif way == "deleted":
            await link.share.box.ask("DELETE", link.share.path)
        await link.served.clock.advance(3600 if way == "expired" else 1)
        with pytest.raises(aiohttp.ClientPayloadError):
            await drain(response, seen)
    assert sum(seen) < size - 1000


async def test_a_page_that_takes_no_byte_for_a_minute_is_cut_off(share: Share) -> None:
    link = await share.link(expires_in_s=86400)
    await link.share.put_manifest(1, bytes(48 * MIB))
    token = await link.token()
    async with link.served.session.get(link.served.url + "/api/v1/manifest", headers=token) as response:
        with contextlib.suppress(TimeoutError):  # until the guard is gone
            for _ in range(3000):
                await link.served.clock.until_asleep(within_s=0.5)
                await link.served.clock.advance(1)
        with pytest.raises(aiohttp.ClientPayloadError):
            await drain(response, [])


@given(st.text("bytes=-0123456789, x", max_size=30), st.integers(1, 1000))
def test_any_range_header_gives_bytes_of_the_object_or_a_refusal(header: str, size: int) -> None:
    try:
        wanted = parse_range(header, size)
    except RangeUnsatisfiableError:
        return
    assert wanted is None or 0 <= wanted[0] < wanted[1] <= size
