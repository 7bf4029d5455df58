"""After a whole life of shares, nothing that opens one is in the database, the objects or the log."""

from __future__ import annotations

import base64
import logging

import pytest

from tests.vault.conftest import VECTORS, Running, Served, b64u, unb64u

FACTORS = {"birth-date": "birth-date:{}", "pin": "pin:{}", "none": "none:"}


def spellings(raw: bytes) -> list[bytes]:
    return [
        raw,
        raw.hex().encode(),
        raw.hex().upper().encode(),
        b64u(raw).encode(),
        base64.b64encode(raw).rstrip(b"="),
        str(raw)[2:-1].encode(),
    ]


def canaries() -> list[bytes]:
    """F, the factor and the data key of every vector: what the vault must never learn."""
    found = []
    for vector in VECTORS:
        found += spellings(unb64u(vector["secret"])) + spellings(unb64u(vector["data_key"]))
        if vector["value"]:
            factor = FACTORS[vector["kind"]].format(vector["value"])
            found += [*spellings(factor.encode()), vector["value"].encode()]
    return found


async def live(served: Served) -> list[str]:
    """Enrol, upload, open rightly and wrongly, fetch, renew, expire, revoke. The link ids and tokens that were used."""
    share = await (await served.box()).share()
    await share.put(0, b"ciphertext")
    await share.put_manifest(1, b"ciphertext")
    used = []
    for vector in VECTORS:
        named = {"factor": vector["kind"]} | {name: vector[name] for name in ("verifier", "share_key", "envelope")}
        link = await share.link(**named)
        link.proof = unb64u(vector["proof"])
        await link.look()
        await link.open(bytes(32))
        token = await link.token()
        await served.ask("GET", "/api/v1/objects/0", headers=token)
        await served.ask("GET", "/api/v1/manifest", headers=token)
        await link.renew(60)
        used += [link.link_id, token["Authorization"].removeprefix("Bearer ")]
    await served.ask("GET", f"/api/v1/links/{used[0]}x")
    await served.ask("GET", "/api/v1/manifest", headers={"Authorization": f"Bearer {used[1]}x"})
    return used


async def test_the_vault_never_holds_what_opens_a_share(run_vault: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with run_vault() as served:
        await live(served)
        open_files = served.files()
    for files in (open_files, served.files()):
        everything = b"".join(files.values()) + caplog.text.encode()
        assert [canary for canary in canaries() if canary in everything] == []


async def test_the_log_names_no_link_no_token_and_no_address(
    run_vault: Running, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    async with run_vault() as served:
        used = await live(served)
    out, err = capfd.readouterr()
    logged = caplog.text + out + err
    assert [secret for secret in [*used, "127.0.0.1"] if secret in logged] == []


async def test_tokens_are_nowhere_on_the_disk(run_vault: Running) -> None:
    async with run_vault() as served:
        used = await live(served)
        everything = b"".join(served.files().values())
    assert [token for token in used[1::2] if token.encode() in everything] == []


async def test_after_expiry_and_grace_the_vaults_own_share_is_gone_too(run_vault: Running) -> None:
    async with run_vault() as served:
        await live(served)
        kept = [unb64u(vector[name]) for vector in VECTORS for name in ("share_key", "envelope")]
        before = b"".join(served.files().values())
        assert all(secret in before for secret in kept)
        await served.clock.advance(60 + 600)
        await served.sweep()
        files = served.files()
    everything = b"".join(files.values())
    assert [secret for secret in kept if secret in everything] == []
    assert not [path for path in files if "/objects/" in path]
