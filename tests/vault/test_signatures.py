from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature

from tests.vault.conftest import Answer, Box, Served, Share, b64u

TIME = "/device/v1/time"


async def send(
    box: Box, headers: dict[str, str], *, method: str = "GET", path: str = TIME, body: bytes = b""
) -> Answer:
    answer = await box.served.ask(method, path, body, headers)
    if "Signature" in headers:
        box.check(headers, answer)
    return answer


async def test_a_signed_request_is_answered_and_the_answer_is_signed(box: Box) -> None:
    answer = await send(box, box.sign("GET", TIME, b""))
    assert (answer.status, answer.json) == (200, {"now": int(box.served.clock.now())})


async def test_an_answer_does_not_verify_for_another_request(box: Box) -> None:
    one, other = box.sign("GET", TIME, b""), box.sign("GET", TIME, b"")
    answer = await box.served.ask("GET", TIME, b"", one)
    with pytest.raises(InvalidSignature):
        box.check(other, answer)


async def test_a_tampered_body_is_refused(share: Share) -> None:
    headers = share.box.sign("PUT", f"{share.path}/objects/0", b"true")
    answer = await send(share.box, headers, method="PUT", path=f"{share.path}/objects/0", body=b"fals")
    assert (answer.status, answer.code) == (400, "digest_wrong")
    assert (await share.facts())["objects"] == []


async def test_a_tampered_small_body_is_refused(box: Box) -> None:
    path = f"/device/v1/shares/{b64u(bytes(16))}"
    answer = await send(box, box.sign("PUT", path, b"{}"), method="PUT", path=path, body=b'{"a":1}')
    assert answer.code == "digest_wrong"


async def test_another_path_under_the_signature_is_refused(share: Share) -> None:
    headers = share.box.sign("PUT", f"{share.path}/objects/0", b"x")
    answer = await send(share.box, headers, method="PUT", path=f"{share.path}/objects/1", body=b"x")
    assert (answer.status, answer.code) == (401, "signature_wrong")


async def test_another_method_under_the_signature_is_refused(share: Share) -> None:
    headers = share.box.sign("GET", share.path, b"")
    assert (await send(share.box, headers, method="DELETE", path=share.path)).code == "signature_wrong"


async def test_a_replaced_digest_is_refused(share: Share) -> None:
    path = f"{share.path}/objects/0"
    headers = share.box.sign("PUT", path, b"true")
    headers["Content-Digest"] = share.box.sign("PUT", path, b"fals")["Content-Digest"]
    assert (await send(share.box, headers, method="PUT", path=path, body=b"fals")).code == "signature_wrong"


async def test_a_replay_is_refused(box: Box) -> None:
    headers = box.sign("GET", TIME, b"")
    assert (await send(box, headers)).status == 200
    answer = await send(box, headers)
    assert (answer.status, answer.code) == (401, "replayed")


async def test_a_replay_is_refused_for_as_long_as_its_time_is_good(box: Box) -> None:
    headers = box.sign("GET", TIME, b"", created=int(box.served.clock.now()) + 300)
    assert (await send(box, headers)).status == 200
    for wait_s, code in ((599, "replayed"), (1, "replayed"), (1, "clock_skew")):
        await box.served.clock.advance(wait_s)
        await box.served.sweep()
        assert (await send(box, headers)).code == code


@pytest.mark.parametrize(("skew_s", "status"), [(-301, 401), (-300, 200), (300, 200), (301, 401)])
async def test_a_clock_may_be_300_s_wrong(box: Box, skew_s: int, status: int) -> None:
    now = int(box.served.clock.now())
    answer = await send(box, box.sign("GET", TIME, b"", created=now + skew_s))
    assert (answer.status, answer.json["now"]) == (status, now)
    assert status == 200 or answer.code == "clock_skew"


async def test_an_unknown_device_is_refused_and_answered_with_a_signature(box: Box) -> None:
    stranger = Box(box.served, box.key, b64u(b"s" * 16), box.vault_key)
    answer = await send(stranger, stranger.sign("GET", TIME, b""))
    assert (answer.status, answer.code) == (401, "device_unknown")


async def test_a_revoked_device_is_refused(box: Box) -> None:
    await box.served.operations.perform({"do": "devices-revoke", "device": box.device_id})
    answer = await send(box, box.sign("GET", TIME, b""))
    assert (answer.status, answer.code) == (403, "device_revoked")


async def test_another_boxs_key_is_refused(box: Box) -> None:
    other = await box.served.box()
    forged = Box(box.served, other.key, box.device_id, box.vault_key)
    assert (await send(forged, forged.sign("GET", TIME, b""))).code == "signature_wrong"


async def test_an_unsigned_request_is_refused(served: Served) -> None:
    answer = await served.ask("GET", TIME)
    assert (answer.status, answer.code) == (401, "signature_wrong")


async def test_a_query_is_refused(box: Box) -> None:
    answer = await send(box, box.sign("GET", f"{TIME}?a=b", b""), path=f"{TIME}?a=b")
    assert (answer.status, answer.code) == (400, "bad_request")


async def test_a_signature_beside_a_proxys_own_is_found(box: Box) -> None:
    headers = box.sign("GET", TIME, b"")
    headers["Signature-Input"] = f'proxy=("@method");created=1;keyid="p", {headers["Signature-Input"]}'
    both = {**headers, "Signature": f"proxy=:AAAA:, {headers['Signature']}"}
    assert (await box.served.ask("GET", TIME, b"", both)).status == 200


@pytest.mark.parametrize(
    "broken",
    [
        {"Signature-Input": ""},
        {"Signature-Input": "slipway=()"},
        {"Signature-Input": 'slipway=("@method");created=1;nonce="a";keyid="b";alg="ed25519"'},
        {"Signature-Input": 'slipway=("@method" "@path" "content-digest");created=1'},
        {"Signature-Input": 'slipway=("@method" "@path" "content-digest");created=x;;;'},
        {"Signature-Input": "slipway=(), slipway=()"},
        {"Signature": "slipway=:!!!!:"},
        {"Signature": "slipway=:AAAA:"},
        {"Signature": "other=:AAAA:"},
        {"Content-Digest": ""},
    ],
)
async def test_a_malformed_signature_is_refused(box: Box, broken: dict[str, str]) -> None:
    headers = {**box.sign("GET", TIME, b""), **broken}
    answer = await box.served.ask("GET", TIME, b"", headers)
    assert (answer.status, answer.code) == (401, "signature_wrong")


async def test_a_signature_over_no_sha256_is_refused(box: Box) -> None:
    headers = box.sign("GET", TIME, b"", digest="sha-512=:AAAA:")
    answer = await send(box, headers)
    assert (answer.status, answer.code) == (400, "digest_wrong")


async def test_a_route_that_does_not_exist_is_refused_with_a_signature(box: Box) -> None:
    answer = await send(box, box.sign("GET", "/device/v1/nothing", b""), path="/device/v1/nothing")
    assert (answer.status, answer.code) == (404, "not_found")
