"""Every request of the box, as the vault understands it; and what the vault says, as the box understands it."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.adapters import vault as adapter
from appliance.adapters.link_reader import LinkReader
from appliance.adapters.vault import HttpVault
from appliance.errors import (
    FactorWrongError,
    LinkGoneError,
    NotEnrolledError,
    VaultRefusedError,
    VaultUnreachableError,
)
from appliance.formats.envelope import FactorKind, LinkKeys, factor_bytes, proof, verifier
from appliance.formats.identity_file import Enrolment
from appliance.formats.wire import AnswerNotGenuineError, EnrolmentError
from appliance.ports import LinkRegistration
from tests.contract.conftest import PUBLIC_URL, Connect
from tests.contract.proxies import Passed, proxy
from tests.fakes.clock import FakeClock
from tests.vault.conftest import START, Served

SHARE, LINK, SECRET, SHARE_KEY, DATA_KEY = (
    os.urandom(16),
    os.urandom(16),
    os.urandom(32),
    os.urandom(32),
    os.urandom(32),
)
FACTOR = factor_bytes(FactorKind.BIRTH_DATE, "19700131")


def registration(**changes: object) -> LinkRegistration:
    values = {
        "share_id": SHARE,
        "link_id": LINK,
        "verifier": verifier(SECRET, LINK, FACTOR),
        "factor": "birth-date",
        "share_key": SHARE_KEY,
        "envelope": LinkKeys(LINK, SECRET, SHARE_KEY, FACTOR).wrap(SHARE, DATA_KEY, b"n" * 12),
        "expires_in_s": 7 * 86400.0,
        "grace_s": 14 * 86400.0,
    }
    return LinkRegistration(**{**values, **changes})  # type: ignore[arg-type]


# -- enrolment ---------------------------------------------------------------------------------------------------------


async def test_a_right_code_enrols_once(served: Served) -> None:
    code = await served.code()
    enrolment = await adapter.enrol(served.url, code.lower(), "", lambda: 0.0)
    assert enrolment.vault_key.public_bytes_raw() == served.vault.identity.public_key().public_bytes_raw()
    with pytest.raises(EnrolmentError, match="does not accept"):
        await adapter.enrol(served.url, code, "", lambda: 0.0)


@pytest.mark.parametrize("code", ["", "ABCD", "UUUU-UUUU-UUUU-UUUU", "0000-0000-0000-000!"])
async def test_what_cannot_be_a_code_is_never_sent(code: str) -> None:
    with pytest.raises(EnrolmentError, match="16 letters and digits"):
        await adapter.enrol("http://127.0.0.1:1", code, "", lambda: 0.0)


async def test_a_wrong_code_is_refused_with_what_to_do(served: Served) -> None:
    code = await served.code()
    wrong = code[:-1] + ("0" if code[-1] != "0" else "1")
    with pytest.raises(EnrolmentError) as raised:
        await adapter.enrol(served.url, wrong, "", lambda: 0.0)
    assert "enrol-code" in raised.value.hint


async def test_a_proxy_cannot_slip_in_a_vault_key_of_its_own(served: Served) -> None:
    def swap(passed: Passed) -> Passed:
        from tests.vault.conftest import b64u

        genuine = b64u(served.vault.identity.public_key().public_bytes_raw()).encode()
        own = b64u(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).encode()
        passed.body = passed.body.replace(genuine, own)
        return passed

    async with proxy(served.url, swap) as url:
        with pytest.raises(AnswerNotGenuineError):
            await adapter.enrol(url, await served.code(), "", lambda: 0.0)


async def test_an_address_that_is_no_vault_says_so() -> None:
    from aiohttp import web

    from tests.contract.proxies import serving

    async def portal(_: web.Request) -> web.Response:
        return web.Response(text="<html>Welcome to the hospital's guest network</html>", content_type="text/html")

    async with serving(portal) as url:
        with pytest.raises(EnrolmentError, match="answered 200"):
            await adapter.enrol(url, "0123456789ABCDEF", "", lambda: 0.0)


async def test_a_vault_that_is_not_there_is_unreachable(unused_tcp_port: int) -> None:
    with pytest.raises(VaultUnreachableError, match="does not answer"):
        await adapter.enrol(f"http://127.0.0.1:{unused_tcp_port}", "0123456789ABCDEF", "", lambda: 0.0)


async def test_a_box_that_is_not_enrolled_says_so() -> None:
    vault = HttpVault(None, "", FakeClock().now)
    with pytest.raises(NotEnrolledError):
        await vault.put_share(SHARE)
    await vault.close()


# -- every request -----------------------------------------------------------------------------------------------------


async def test_a_share_is_made_filled_and_deleted(vault: HttpVault, served: Served) -> None:
    await vault.put_share(SHARE)
    await vault.put_object(SHARE, 0, b"first")
    await vault.put_object(SHARE, 1, os.urandom(8 << 20))
    await vault.put_manifest(SHARE, 1, b"manifest")
    await vault.put_manifest(SHARE, 7, b"later")  # generations may have gaps: a lost answer costs a number
    assert sum(len(content) for content in served.files().values()) > 8 << 20
    await vault.delete_share(SHARE)
    with pytest.raises(VaultRefusedError) as raised:
        await vault.put_object(SHARE, 2, b"late")
    assert raised.value.code == "share_deleted"


async def test_everything_may_be_sent_twice(vault: HttpVault) -> None:
    for _ in range(2):
        await vault.put_share(SHARE)
        await vault.put_object(SHARE, 0, b"same")
        await vault.put_manifest(SHARE, 1, b"same")
        first = await vault.put_link(registration())
        assert await vault.put_link(registration()) == first
    for _ in range(2):
        await vault.delete_link(SHARE, LINK)
    for _ in range(2):
        await vault.delete_share(SHARE)


async def test_other_content_under_the_same_name_is_refused(vault: HttpVault) -> None:
    await vault.put_share(SHARE)
    await vault.put_object(SHARE, 0, b"one")
    await vault.put_manifest(SHARE, 3, b"one")
    await vault.put_link(registration())
    for again in (
        vault.put_object(SHARE, 0, b"other"),
        vault.put_manifest(SHARE, 3, b"other"),
        vault.put_link(registration(expires_in_s=99_999.0)),
    ):
        with pytest.raises(VaultRefusedError) as raised:
            await again
        assert raised.value.code == "already_different"


async def test_a_registered_link_says_until_when_and_under_which_address(vault: HttpVault) -> None:
    await vault.put_share(SHARE)
    answer = await vault.put_link(registration())
    assert answer.public_url == PUBLIC_URL
    assert answer.expires_at == START + 7 * 86400


async def test_an_older_vault_that_names_no_address_means_the_one_that_the_box_uses(connect: Connect) -> None:
    from aiohttp import web

    from tests.contract.proxies import serving
    from vault import wire as vault_wire

    key = Ed25519PrivateKey.generate()

    async def old(request: web.Request) -> web.Response:
        body = b'{"expires_at": 1795604800, "now": 1795000000}'
        signature = vault_wire.signature_bytes(request.headers["Signature"])
        headers = vault_wire.sign_answer(key, status=200, body=body, created=START, request_signature=signature)
        return web.Response(body=body, headers=headers)

    async with serving(old) as url, connect(url, vault_key=key.public_key()) as vault:
        assert (await vault.put_link(registration())).public_url == url


async def test_a_link_is_renewed_and_destroyed(vault: HttpVault, served: Served) -> None:
    await vault.put_share(SHARE)
    await vault.put_link(registration())
    assert await vault.renew_link(SHARE, LINK, 30 * 86400.0) == START + 30 * 86400
    await vault.delete_link(SHARE, LINK)
    with pytest.raises(VaultRefusedError) as raised:
        await vault.renew_link(SHARE, LINK, 86400.0)
    assert raised.value.code == "link_revoked"
    with pytest.raises(VaultRefusedError) as raised:
        await vault.put_link(registration())
    assert raised.value.code == "link_revoked"


async def test_a_link_destroyed_before_it_came_never_comes_alive(vault: HttpVault) -> None:
    await vault.put_share(SHARE)
    await vault.delete_link(SHARE, LINK)
    with pytest.raises(VaultRefusedError) as raised:
        await vault.put_link(registration())
    assert raised.value.code == "link_revoked"


async def test_a_share_of_another_box_does_not_exist(vault: HttpVault, served: Served) -> None:
    await vault.put_share(SHARE)
    other = HttpVault(
        await adapter.enrol(served.url, await served.code("other"), "", lambda: 0.0), "", served.clock.now
    )
    with pytest.raises(VaultRefusedError) as raised:
        await other.put_object(SHARE, 0, b"x")
    assert raised.value.code == "share_unknown"
    await other.close()


# -- who may, and when -------------------------------------------------------------------------------------------------


async def test_a_revoked_box_is_refused_with_that_code(vault: HttpVault, served: Served) -> None:
    await vault.check()
    await served.operations.perform({"do": "devices-revoke", "device": "CT room"})
    with pytest.raises(VaultRefusedError) as raised:
        await vault.check()
    assert raised.value.code == "device_revoked"
    assert "revoked" in vault.last_error or "refused" in vault.last_error


async def test_a_box_that_the_vault_does_not_know_is_refused_with_that_code(connect: Connect) -> None:
    from tests.vault.conftest import b64u

    async with connect(device_id=b64u(os.urandom(16))) as vault:
        with pytest.raises(VaultRefusedError) as raised:
            await vault.check()
    assert raised.value.code == "device_unknown"


async def test_another_key_under_the_same_name_is_refused(connect: Connect) -> None:
    async with connect(key=Ed25519PrivateKey.generate()) as vault:
        with pytest.raises(VaultRefusedError) as raised:
            await vault.check()
    assert raised.value.code == "signature_wrong"


async def test_another_vault_is_not_believed(connect: Connect) -> None:
    async with connect(vault_key=Ed25519PrivateKey.generate().public_key()) as vault:
        with pytest.raises(AnswerNotGenuineError):
            await vault.check()


@pytest.mark.parametrize("off_by_s", [0, 299, -299, 3600, -3600, 10 * 365 * 86400, -START])
async def test_a_wrong_clock_is_corrected_by_the_vaults_signed_time(connect: Connect, off_by_s: float) -> None:
    clock = FakeClock(START + off_by_s)
    async with connect(clock=clock) as vault:
        assert vault.known_now() is None
        assert vault.clock_offset_s == 0
        await vault.put_share(SHARE)
        assert vault.known_now() == START
        assert vault.clock_offset_s == -off_by_s


async def test_a_clock_that_jumps_later_changes_nothing(connect: Connect, served: Served) -> None:
    clock = FakeClock()
    async with connect(clock=clock) as vault:
        await vault.check()
        clock.jump(365 * 86400)
        clock.advance(60)
        assert vault.known_now() == START + 60
        await served.clock.advance(60)
        await vault.check()
        assert vault.clock_offset_s == -365 * 86400


# -- the reference reader ----------------------------------------------------------------------------------------------


async def test_a_link_that_the_box_registered_opens_for_the_patient(vault: HttpVault, served: Served) -> None:
    await vault.put_share(SHARE)
    await vault.put_object(SHARE, 0, b"0123456789")
    await vault.put_link(registration())
    async with LinkReader(served.url, LINK) as reader:
        assert await reader.factor() == "birth-date"
        opened = await reader.open(proof(SECRET, LINK, FACTOR))
        assert LinkKeys(LINK, SECRET, opened.share_key, FACTOR).unwrap(opened.envelope) == (SHARE, DATA_KEY)
        assert await reader.manifest(opened.token) is None
        await vault.put_manifest(SHARE, 4, b"sealed")
        assert await reader.manifest(opened.token) == (4, b"sealed")
        assert await reader.object_range(opened.token, 0, 3, 4) == b"3456"


async def test_a_wrong_factor_costs_a_try_and_says_how_many_are_left(vault: HttpVault, served: Served) -> None:
    await vault.put_share(SHARE)
    await vault.put_link(registration())
    async with LinkReader(served.url, LINK) as reader:
        with pytest.raises(FactorWrongError, match="4 tries left"):
            await reader.open(os.urandom(32))


async def test_a_dead_link_says_so(vault: HttpVault, served: Served) -> None:
    await vault.put_share(SHARE)
    await vault.put_link(registration())
    async with LinkReader(served.url, LINK) as reader:
        opened = await reader.open(proof(SECRET, LINK, FACTOR))
        await vault.delete_link(SHARE, LINK)
        for asked in (reader.factor(), reader.open(proof(SECRET, LINK, FACTOR)), reader.manifest(opened.token)):
            with pytest.raises(LinkGoneError):
                await asked


async def test_the_enrolment_is_good_after_it_was_written_down(served: Served, enrolment: Enrolment) -> None:
    from appliance.formats import identity_file

    vault = HttpVault(identity_file.decode(identity_file.encode(enrolment)), "", served.clock.now)
    await vault.check()
    await vault.close()
