from __future__ import annotations

from typing import Any

import pytest

from tests.vault.conftest import NEW_LINK, Link, Running, Share, b64u, unb64u


async def test_putting_the_same_link_again_gives_the_same_answer(link: Link) -> None:
    await link.served.clock.advance(100)
    again = await link.put()
    assert (again.status, again.json["expires_at"]) == (200, int(link.served.clock.now()) - 100 + 3600)


@pytest.mark.parametrize(
    "change", [{"factor": "pin"}, {"share_key": b64u(bytes(32))}, {"expires_in_s": 7200}, {"grace_s": 0}]
)
async def test_other_content_for_the_same_link_is_refused(link: Link, change: dict[str, Any]) -> None:
    link.body |= change
    answer = await link.put()
    assert (answer.status, answer.code) == (409, "already_different")


async def test_the_box_is_told_what_the_slip_must_say(run_vault: Running) -> None:
    async with run_vault(public_url="https://vault.example.org") as served:
        link = Link(await (await served.box()).share(), NEW_LINK())
        first, again = await link.put(), await link.put()
    assert first.json["public_url"] == again.json["public_url"] == "https://vault.example.org"


async def test_a_link_of_another_share_is_not_taken_over(link: Link) -> None:
    other = await link.share.box.share()
    thief = Link(other, dict(link.body), link_id=link.link_id)
    assert (await thief.put()).code == "already_different"
    assert (await thief.revoke()).code == "link_unknown"
    assert (await thief.renew(3600)).code == "link_unknown"
    assert (await link.look()).status == 200


async def test_a_revoked_link_is_gone_and_stays_gone(link: Link) -> None:
    assert (await link.revoke()).status == 200
    assert (await link.revoke()).status == 200
    for answer in (await link.look(), await link.open(), await link.put(), await link.renew(3600)):
        assert (answer.status, answer.code) == (410, "link_revoked")


async def test_revoking_deletes_the_share_key_and_the_envelope_from_every_file_before_it_answers(share: Share) -> None:
    links = [await share.link() for _ in range(40)]
    for link in links[:20]:
        await link.renew(7200)
    for link in links[1:]:
        await link.revoke()
    files = share.box.served.files().values()
    secrets_of = {
        n: [unb64u(link.body[name]) for name in ("share_key", "envelope", "verifier")] for n, link in enumerate(links)
    }
    assert all(any(secret in content for content in files) for secret in secrets_of[0])
    assert not [n for n in range(1, 40) for secret in secrets_of[n] for content in files if secret in content]


async def test_a_link_revoked_before_the_vault_saw_it_stays_revoked(share: Share) -> None:
    link = Link(share, NEW_LINK())
    assert (await link.revoke()).status == 200
    answer = await link.put()
    assert (answer.status, answer.code) == (410, "link_revoked")
    assert (await share.facts())["links"][0]["state"] == "destroyed"


@pytest.mark.parametrize(("at_s", "status"), [(3599, 200), (3600, 410), (3601, 410)])
async def test_a_link_dies_at_its_second(link: Link, at_s: int, status: int) -> None:
    await link.served.clock.advance(at_s)
    for answer in (await link.look(), await link.open()):
        assert answer.status == status
        assert status == 200 or answer.code == "link_expired"


@pytest.mark.parametrize(("at_s", "status"), [(3600, 200), (4199, 200), (4200, 410), (4201, 410)])
async def test_an_expired_link_can_be_renewed_until_its_grace_is_over(link: Link, at_s: int, status: int) -> None:
    """Swept or not: the clock decides, the sweep only cleans."""
    await link.served.clock.advance(at_s)
    answer = await link.renew(1000)
    assert answer.status == status
    if status == 200:
        assert answer.json["expires_at"] == int(link.served.clock.now()) + 1000
        assert (await link.open()).status == 200
    else:
        assert answer.code == "link_revoked"


async def test_renewing_counts_from_now_and_can_shorten(link: Link) -> None:
    await link.renew(60)
    await link.served.clock.advance(60)
    assert (await link.look()).code == "link_expired"


async def test_renewing_an_unknown_link_is_refused(share: Share) -> None:
    assert (await Link(share, NEW_LINK()).renew(3600)).code == "link_unknown"


async def test_renewing_gives_no_new_tries(link: Link) -> None:
    for _ in range(5):
        await link.open(bytes(32))
    assert (await link.renew(7200)).status == 200
    assert (await link.open()).code == "link_locked"


async def test_the_box_sees_how_often_a_link_was_opened(link: Link) -> None:
    await link.open()
    await link.served.clock.advance(60)
    await link.open()
    await link.open(bytes(32))
    listed = (await link.share.facts())["links"][0]
    now = int(link.served.clock.now())
    assert listed == {
        "id": link.link_id,
        "state": "active",
        "expires_at": now - 60 + 3600,
        "tries_left": 4,
        "opened": 2,
        "last_opened_at": now,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"expires_in_s": 59},
        {"expires_in_s": 400 * 86400 + 1},
        {"expires_in_s": "3600"},
        {"expires_in_s": True},
        {"expires_in_s": 3600.5},
        {"grace_s": -1},
        {"grace_s": 400 * 86400 + 1},
        {"factor": "shoe-size"},
        {"factor": None},
        {"share_key": b64u(bytes(31))},
        {"share_key": 7},
        {"share_key": b64u(bytes(32)) + "="},
        {"share_key": "+" * 43},
        {"envelope": b64u(bytes(110))},
        {"verifier": ["x"]},
    ],
)
async def test_a_link_that_is_not_as_the_wire_says_is_refused(share: Share, change: dict[str, Any]) -> None:
    answer = await Link(share, {**NEW_LINK(), **change}).put()
    assert (answer.status, answer.code) == (400, "bad_request")
    assert next(iter(change)) in answer.json["error"]["message"]


async def test_members_that_the_vault_does_not_know_are_ignored(share: Share) -> None:
    assert (await Link(share, {**NEW_LINK(), "colour": "red"}).put()).status == 201


async def test_a_try_is_counted_before_the_proof_is_compared_and_in_the_same_transaction(link: Link) -> None:
    ledger: Any = link.served.vault.ledger
    steps: list[str] = []
    await ledger._database.run(lambda session: session._connection.set_trace_callback(steps.append))

    def is_right(_verifier: bytes) -> bool:
        steps.append("compare")
        return True

    await ledger.open_link(unb64u(link.link_id), is_right, link.served.clock.now())
    order = [next(n for n, step in enumerate(steps) if word in step) for word in ("BEGIN", "tries + 1", "compare")]
    order += [next(n for n, step in enumerate(steps) if word in step) for word in ("tries - 1", "opened = opened + 1")]
    assert order == sorted(order)
    assert not [step for step in steps[order[0] : order[-1]] if step == "COMMIT"]
