from __future__ import annotations

import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.vault.conftest import Answer, Served, b64u, code_key, enrolment, unb64u


def new_key() -> bytes:
    return Ed25519PrivateKey.generate().public_key().public_bytes_raw()


async def enrol(served: Served, code: str, public_key: bytes | None = None) -> Answer:
    return await served.ask("POST", "/device/v1/enrolments", enrolment(code, public_key or new_key()))


async def test_a_code_enrols_a_box_and_the_answer_proves_that_the_vault_knows_the_code(served: Served) -> None:
    code, public_key = await served.code(), new_key()
    answer = await enrol(served, code, public_key)
    assert answer.status == 201
    said = public_key + unb64u(answer.json["device_id"]) + unb64u(answer.json["vault_key"])
    assert unb64u(answer.json["mac"]) == hmac.digest(code_key(code), b"slipway/1 enrol vault" + said, "sha256")


async def test_a_code_is_good_once(served: Served) -> None:
    code = await served.code()
    await enrol(served, code)
    answer = await enrol(served, code)
    assert (answer.status, answer.code) == (403, "code_wrong")


@pytest.mark.parametrize(("after_s", "status"), [(899, 201), (900, 403), (901, 403)])
async def test_a_code_is_good_for_15_minutes(served: Served, after_s: int, status: int) -> None:
    code = await served.code()
    await served.clock.advance(after_s)
    assert (await enrol(served, code)).status == status


async def test_five_wrong_macs_spend_a_code(served: Served) -> None:
    code = await served.code()
    wrong = code[:4] + "0" * 12
    assert [(await enrol(served, wrong)).status for _ in range(5)] == [403] * 5
    assert (await enrol(served, code)).code == "code_wrong"


async def test_four_wrong_macs_do_not_spend_a_code(served: Served) -> None:
    code = await served.code()
    for _ in range(4):
        await enrol(served, code[:4] + "0" * 12)
    assert (await enrol(served, code)).status == 201


async def test_another_key_under_an_observed_mac_is_refused(served: Served) -> None:
    observed = enrolment(await served.code(), new_key())
    forged = {**observed, "public_key": b64u(new_key())}
    assert (await served.ask("POST", "/device/v1/enrolments", forged)).code == "code_wrong"


async def test_the_codes_secret_part_is_nowhere_in_the_database(served: Served) -> None:
    code = await served.code()
    assert not [path for path, content in served.files().items() if code[4:].encode() in content]


async def test_an_unknown_code_says_no_more_than_a_wrong_one(served: Served) -> None:
    known = await enrol(served, (await served.code())[:4] + "0" * 12)
    unknown = await enrol(served, "ZZZZ" + "0" * 12)
    assert known.body == unknown.body
