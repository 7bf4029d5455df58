"""A real vault over HTTP on a free port, with a clock that only the test moves; a box; a patient."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import io
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from yarl import URL

from vault.app import Vault
from vault.ledger import SqliteLedger
from vault.objects import FolderObjects
from vault.operations import Operations
from vault.serving import make_runner

START = 1_795_000_000
VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "envelope.json").read_text())


def b64u(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64u(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class FakeClock:
    """Stands still until `advance`; then wakes whoever slept long enough."""

    def __init__(self) -> None:
        self.time = float(START)
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self._slept = asyncio.Event()

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        sleeper = (self.time + seconds, asyncio.get_running_loop().create_future())
        self._sleepers.append(sleeper)
        self._slept.set()
        try:
            await sleeper[1]
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    async def until_asleep(self, count: int = 1, within_s: float = 10) -> None:
        """Until so many tasks of the vault wait for this clock."""
        async with asyncio.timeout(within_s):
            while len(self._sleepers) < count:
                self._slept.clear()
                await self._slept.wait()

    async def advance(self, seconds: float) -> None:
        self.time += seconds
        for until, sleeper in list(self._sleepers):
            if until <= self.time and not sleeper.done():
                self._sleepers.remove((until, sleeper))
                sleeper.set_result(None)


@dataclass
class Answer:
    status: int
    body: bytes
    headers: Any

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


@dataclass
class Served:
    """A running vault."""

    vault: Vault
    clock: FakeClock
    url: str
    session: aiohttp.ClientSession
    folder: Path

    @property
    def operations(self) -> Operations:
        return Operations(self.vault.ledger, self.vault.ledger, self.vault.objects, self.clock)

    async def ask(self, method: str, path: str, body: Any = b"", headers: dict[str, str] | None = None) -> Answer:
        """`body` may be bytes, or members of a JSON object."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = URL(self.url + path, encoded=True)
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        async with self.session.request(method, url, data=io.BytesIO(raw) if raw else None, headers=sent) as response:
            return Answer(response.status, await response.read(), response.headers)

    async def sweep(self) -> dict[str, object]:
        return await self.operations.perform({"do": "sweep"})

    async def code(self, name: str = "CT room") -> str:
        facts = await self.operations.perform({"do": "enrol-code", "name": name})
        return str(facts["code"]).replace("-", "")

    async def box(self) -> Box:
        code = await self.code()
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes_raw()
        answer = await self.ask("POST", "/device/v1/enrolments", enrolment(code, public))
        assert answer.status == 201, answer.body
        return Box(self, key, answer.json["device_id"], unb64u(answer.json["vault_key"]))

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


def enrolment(code: str, public_key: bytes) -> dict[str, str]:
    mac = hmac.digest(code_key(code), b"slipway/1 enrol device" + public_key, "sha256")
    return {"code_id": code[:4], "public_key": b64u(public_key), "mac": b64u(mac)}


def code_key(code: str) -> bytes:
    return HKDF(SHA256(), 32, None, b"slipway/1 enrol").derive(code[4:].encode())


def digest_header(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


@dataclass
class Box:
    """Signs as docs/wire.md says, written from that page alone, and checks every answer's signature."""

    served: Served
    key: Ed25519PrivateKey
    device_id: str
    vault_key: bytes

    def sign(
        self, method: str, path: str, body: bytes, *, created: int | None = None, digest: str = ""
    ) -> dict[str, str]:
        created = int(self.served.clock.now()) if created is None else created
        nonce = b64u(secrets.token_bytes(16))
        digest = digest or digest_header(body)
        parameters = (
            '("@method" "@path" "content-digest")'
            f';created={created};nonce="{nonce}";keyid="{self.device_id}";alg="ed25519"'
        )
        lines = [f'"@method": {method}', f'"@path": {path}', f'"content-digest": {digest}']
        base = "\n".join([*lines, f'"@signature-params": {parameters}'])
        signature = base64.b64encode(self.key.sign(base.encode())).decode()
        return {
            "Content-Digest": digest,
            "Signature-Input": f"slipway={parameters}",
            "Signature": f"slipway=:{signature}:",
        }

    def check(self, request_headers: dict[str, str], answer: Answer) -> None:
        assert answer.headers["Content-Digest"] == digest_header(answer.body)
        parameters = answer.headers["Signature-Input"].removeprefix("slipway=")
        assert parameters.startswith('("@status" "content-digest" "signature";req;key="slipway");created=')
        lines = [
            f'"@status": {answer.status}',
            f'"content-digest": {answer.headers["Content-Digest"]}',
            f'"signature";req;key="slipway": {request_headers["Signature"].removeprefix("slipway=")}',
            f'"@signature-params": {parameters}',
        ]
        signature = base64.b64decode(answer.headers["Signature"].removeprefix("slipway=:").removesuffix(":"))
        Ed25519PublicKey.from_public_bytes(self.vault_key).verify(signature, "\n".join(lines).encode())

    async def ask(self, method: str, path: str, body: Any = b"") -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = self.sign(method, path, raw)
        answer = await self.served.ask(method, path, raw, headers)
        self.check(headers, answer)
        assert abs(answer.json["now"] - int(self.served.clock.now())) <= 1
        return answer

    async def share(self) -> Share:
        share = Share(self, b64u(secrets.token_bytes(16)))
        assert (await self.ask("PUT", share.path, {})).status == 201
        return share


@dataclass
class Share:
    box: Box
    share_id: str

    @property
    def path(self) -> str:
        return f"/device/v1/shares/{self.share_id}"

    async def put(self, number: int, body: bytes) -> Answer:
        return await self.box.ask("PUT", f"{self.path}/objects/{number}", body)

    async def put_manifest(self, generation: int, body: bytes) -> Answer:
        return await self.box.ask("PUT", f"{self.path}/manifests/{generation}", body)

    async def facts(self) -> dict[str, Any]:
        return (await self.box.ask("GET", self.path)).json

    async def link(self, **changes: Any) -> Link:
        link = Link(self, body={**NEW_LINK(), **changes})
        answer = await link.put()
        assert answer.status == 201, answer.body
        return link


def NEW_LINK() -> dict[str, Any]:  # noqa: N802
    return {
        "factor": "birth-date",
        "share_key": b64u(secrets.token_bytes(32)),
        "envelope": b64u(b"\x01" + secrets.token_bytes(108)),
        "expires_in_s": 3600,
        "grace_s": 600,
    }


@dataclass
class Link:
    """Both sides of one link: the box's, which puts it, and the patient's, who proves it."""

    share: Share
    body: dict[str, Any]
    link_id: str = field(default_factory=lambda: b64u(secrets.token_bytes(16)))
    proof: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def __post_init__(self) -> None:
        self.body.setdefault("verifier", b64u(hashlib.sha256(self.proof).digest()))

    @property
    def served(self) -> Served:
        return self.share.box.served

    @property
    def path(self) -> str:
        return f"{self.share.path}/links/{self.link_id}"

    async def put(self) -> Answer:
        return await self.share.box.ask("PUT", self.path, self.body)

    async def renew(self, expires_in_s: int) -> Answer:
        return await self.share.box.ask("PATCH", self.path, {"expires_in_s": expires_in_s})

    async def revoke(self) -> Answer:
        return await self.share.box.ask("DELETE", self.path)

    async def look(self, method: str = "GET") -> Answer:
        return await self.served.ask(method, f"/api/v1/links/{self.link_id}")

    async def open(self, proof: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        body = {"proof": b64u(self.proof if proof is None else proof)}
        return await self.served.ask("POST", f"/api/v1/links/{self.link_id}/open", body, headers)

    async def token(self) -> dict[str, str]:
        answer = await self.open()
        assert answer.status == 200, answer.body
        return {"Authorization": f"Bearer {answer.json['token']}"}


Running = Callable[..., AbstractAsyncContextManager[Served]]


@asynccontextmanager
async def running(folder: Path, **options: Any) -> AsyncIterator[Served]:
    clock = FakeClock()
    ledger = SqliteLedger(folder / "ledger.db")
    await ledger.migrate()
    settings: dict[str, Any] = {"requests_per_minute": 100_000, "viewer": folder / "no-viewer", **options}
    vault = Vault(
        ledger=ledger,
        objects=FolderObjects(folder / "objects"),
        clock=clock,
        identity=Ed25519PrivateKey.generate(),
        **settings,
    )
    runner = make_runner(vault)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    connector = aiohttp.TCPConnector(limit=100)
    try:
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            yield Served(vault, clock, f"http://127.0.0.1:{runner.addresses[0][1]}", session, folder)
    finally:
        await runner.cleanup()
        await ledger.close()


@pytest.fixture
def run_vault(tmp_path: Path) -> Running:
    def start(**options: Any) -> AbstractAsyncContextManager[Served]:
        return running(tmp_path, **options)

    return start


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with running(tmp_path) as served:
        yield served


@pytest.fixture
async def box(served: Served) -> Box:
    return await served.box()


@pytest.fixture
async def share(box: Box) -> Share:
    return await box.share()


@pytest.fixture
async def link(share: Share) -> Link:
    return await share.link()
