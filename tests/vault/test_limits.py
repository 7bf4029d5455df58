from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from tests.vault.conftest import Answer, Box, Link, Running, Served, Share, b64u
from vault.bodies import Patience
from vault.limits import MAX_ADDRESSES, Addresses, Limiter

LOOK = f"/api/v1/links/{b64u(bytes(16))}"


async def look(served: Served, address: str) -> Answer:
    return await served.ask("GET", LOOK, headers={"X-Forwarded-For": address})


async def test_an_address_that_asks_too_often_is_told_when_to_come_back(run_vault: Running) -> None:
    async with run_vault(requests_per_minute=6) as served:
        answers = [await served.ask("GET", LOOK) for _ in range(7)]
        assert [answer.status for answer in answers] == [404] * 6 + [429]
        assert (answers[6].code, answers[6].headers["Retry-After"]) == ("too_many_requests", "10")
        await served.clock.advance(9)
        assert (await served.ask("GET", LOOK)).status == 429
        await served.clock.advance(10)
        assert (await served.ask("GET", LOOK)).status == 404


async def test_a_forwarded_address_counts_only_from_a_trusted_proxy(run_vault: Running) -> None:
    async with run_vault(requests_per_minute=2) as served:
        assert [(await look(served, f"192.0.2.{n}")).status for n in range(3)] == [404, 404, 429]


async def test_behind_a_trusted_proxy_each_patient_counts_alone(run_vault: Running) -> None:
    async with run_vault(requests_per_minute=2, trusted_proxies=(ipaddress.ip_network("127.0.0.0/8"),)) as served:
        assert [(await look(served, f"192.0.2.{n}")).status for n in range(6)] == [404] * 6
        assert [(await look(served, f"evil, 203.0.113.{n}, 198.51.100.7")).status for n in range(3)] == [404, 404, 429]


async def test_reading_images_with_a_token_is_not_limited(run_vault: Running) -> None:
    async with run_vault(requests_per_minute=5) as served:
        share = await (await served.box()).share()
        await share.put(0, b"x")
        token = await (await share.link()).token()
        for _ in range(20):
            assert (await served.ask("GET", "/api/v1/objects/0", headers=token)).status == 200
            await share.put(0, b"x")


async def test_guessing_at_tokens_is_limited(run_vault: Running) -> None:
    async with run_vault(requests_per_minute=3) as served:
        headers = {"Authorization": "Bearer x"}
        answers = [(await served.ask("GET", "/api/v1/manifest", headers=headers)).status for _ in range(4)]
        assert answers == [401, 401, 401, 429]


async def test_guessing_at_codes_and_signatures_is_limited(run_vault: Running) -> None:
    async with run_vault(requests_per_minute=2) as served:
        for _ in range(2):
            assert (await served.ask("GET", "/device/v1/time")).status == 401
        assert (await served.ask("GET", "/device/v1/time")).status == 429
        assert (await served.ask("POST", "/device/v1/enrolments", {})).status == 429


def test_an_ipv6_host_is_its_64() -> None:
    addresses = Addresses(())
    assert (
        addresses.of("2001:db8::1", "") == addresses.of("2001:db8::ffff:2", "") != addresses.of("2001:db8:0:1::1", "")
    )


def test_an_ipv4_address_is_the_same_in_ipv6_clothes() -> None:
    assert Addresses(()).of("::ffff:192.0.2.1", "") == Addresses(()).of("192.0.2.1", "")


async def test_the_limiter_forgets_the_address_that_was_idle_longest(served: Served) -> None:
    limiter = Limiter(served.clock, 1)
    for n in range(MAX_ADDRESSES + 1):
        limiter.take(str(n))
    limiter.take("0")


# Bodies


async def test_a_json_body_may_have_64_kib(share: Share) -> None:
    body = b'{"padding": "' + b"x" * (64 * 1024)
    answer = await share.box.ask("PUT", share.path, body)
    assert (answer.status, answer.code) == (413, "too_large")


async def test_a_patients_body_may_have_64_kib(link: Link) -> None:
    answer = await link.served.ask("POST", f"/api/v1/links/{link.link_id}/open", b" " * (64 * 1024 + 1))
    assert (answer.status, answer.code) == (413, "too_large")


async def test_a_manifest_of_more_than_64_mib_is_refused_before_it_is_sent(share: Share) -> None:
    path = f"{share.path}/manifests/1"
    status = await _raw(share, path, f"Content-Length: {(64 << 20) + 1}\r\n", b"")
    assert status == 413


async def test_a_compressed_body_is_refused(share: Share) -> None:
    path = f"{share.path}/objects/0"
    headers = {**share.box.sign("PUT", path, b"x"), "Content-Encoding": "gzip"}
    answer = await share.box.served.ask("PUT", path, b"x", headers)
    assert (answer.status, answer.code) == (400, "bad_request")


async def test_a_body_that_does_not_arrive_in_time_is_given_up(share: Share) -> None:
    path = f"{share.path}/objects/0"
    status = await _raw(share, path, "Content-Length: 1000\r\n", b"a little", advance_s=60)
    assert status == 408
    assert (await share.facts())["objects"] == []


PART = bytes(1 << 20)  # so much is written to the vault's disk at once, which shows that it has been read


async def test_a_box_may_be_slow_as_long_as_it_is_not_silent(share: Share) -> None:
    """40 s a MiB are 26 KiB/s: a stranger would have been given up at 32 KiB/s."""
    upload = await Upload.begin(share, PART * 4)
    for _ in range(3):
        await upload.send(PART)
        await upload.served.clock.advance(40)
    assert await upload.status(PART) == 201
    assert (await share.facts())["objects"] == [[0, 0]]


async def test_a_box_that_falls_silent_is_given_up(share: Share) -> None:
    upload = await Upload.begin(share, PART * 2)
    await upload.served.clock.advance(30)
    await upload.send(PART)
    await upload.served.clock.advance(60)
    assert await upload.status() == 408
    assert (await share.facts())["objects"] == []
    assert upload.incoming() == []


async def test_no_upload_lasts_for_ever(run_vault: Running) -> None:
    async with run_vault(patience=Patience(silence_s=60, total_s=100)) as served:
        upload = await Upload.begin(await (await served.box()).share(), PART * 4)
        for _ in range(2):
            await upload.send(PART)
            await served.clock.advance(40)
        await upload.send(PART)
        await served.clock.advance(20)
        assert await upload.status() == 408


async def test_a_slow_body_must_still_be_what_was_signed(share: Share) -> None:
    upload = await Upload.begin(share, PART * 2)
    await upload.send(PART)
    await upload.served.clock.advance(50)
    assert await upload.status(b"x" * len(PART)) == 400
    assert (await share.facts())["objects"] == []


async def test_a_stranger_must_not_be_slow(served: Served) -> None:
    reader, writer = await _connect(served)
    writer.write(b"POST /device/v1/enrolments HTTP/1.1\r\nHost: vault\r\nContent-Length: 100\r\n\r\n{")
    await served.clock.until_asleep()
    await served.clock.advance(11)
    assert await _status(reader, writer) == 408


@dataclass
class Upload:
    """Object 0 of a share, in pieces of PART. `send` returns when the vault has read all that was sent."""

    served: Served
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sent: int = 0

    @classmethod
    async def begin(cls, share: Share, body: bytes) -> Upload:
        reader, writer = await _connect(share.box.served)
        path = f"{share.path}/objects/0"
        headers = {"Host": "vault", "Content-Length": str(len(body)), **share.box.sign("PUT", path, body)}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"PUT {path} HTTP/1.1\r\n{head}\r\n".encode())
        await share.box.served.clock.until_asleep()
        return cls(share.box.served, reader, writer)

    async def send(self, piece: bytes) -> None:
        self.writer.write(piece)
        self.sent += len(piece)
        async with asyncio.timeout(10):
            while self.read() < self.sent:  # noqa: ASYNC110 - the vault tells nobody but its disk
                await asyncio.sleep(0.01)

    def read(self) -> int:
        return sum(path.stat().st_size for path in self.incoming())

    def incoming(self) -> list[Path]:
        return list((self.served.folder / "objects" / "incoming").iterdir())

    async def status(self, last_piece: bytes = b"") -> int:
        self.writer.write(last_piece)
        return await _status(self.reader, self.writer)


async def _connect(served: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))


async def _status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    async with asyncio.timeout(10):
        line = await reader.readline()
    writer.close()
    return int(line.split()[1])


async def _raw(share: Share, path: str, head: str, body: bytes, advance_s: float = 0) -> int:
    served = share.box.served
    signed = "".join(f"{name}: {value}\r\n" for name, value in share.box.sign("PUT", path, b"whatever").items())
    reader, writer = await _connect(served)
    writer.write(f"PUT {path} HTTP/1.1\r\nHost: vault\r\n{head}{signed}\r\n".encode() + body)
    if advance_s:
        await served.clock.until_asleep()
        await served.clock.advance(advance_s)
    return await _status(reader, writer)


async def test_nobody_else_can_make_the_vault_read_a_body(box: Box) -> None:
    """An unsigned upload is refused by its headers: it never gets to the disk."""
    path = f"/device/v1/shares/{b64u(bytes(16))}/objects/0"
    assert (await box.served.ask("PUT", path, bytes(4 << 20))).status == 401
