from __future__ import annotations

import asyncio
import secrets

import pytest

from tests.vault.conftest import Box, Link, Share, b64u

MIB = 1 << 20


async def test_naming_a_share_again_is_no_error(share: Share) -> None:
    answer = await share.box.ask("PUT", share.path, {})
    assert (answer.status, set(answer.json)) == (200, {"now"})


async def test_an_object_is_stored_once_and_the_same_again_is_fine(share: Share) -> None:
    body = secrets.token_bytes(1000)
    first, again = await share.put(0, body), await share.put(0, body)
    assert (first.status, again.status) == (201, 200)
    assert first.json["size"] == again.json["size"] == 1000


async def test_other_content_under_the_same_number_is_refused_and_changes_nothing(share: Share, link: Link) -> None:
    await share.put(0, b"first")
    answer = await share.put(0, b"other")
    assert (answer.status, answer.code) == (409, "already_different")
    token = await link.token()
    assert (await link.served.ask("GET", "/api/v1/objects/0", headers=token)).body == b"first"
    assert b"other" not in link.served.files().values()


async def test_two_contents_at_once_leave_one(share: Share) -> None:
    answers = await asyncio.gather(*(share.put(0, bytes([n]) * 1000) for n in range(10)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 9
    stored = [path for path in share.box.served.files() if "object-" in path]
    assert len(stored) == 1


async def test_the_listing_shows_what_to_resume_with_as_ranges(share: Share) -> None:
    for number in (0, 1, 2, 5, 9, 10):
        await share.put(number, b"x")
    assert (await share.facts())["objects"] == [[0, 2], [5, 5], [9, 10]]


async def test_an_empty_share_lists_nothing(share: Share) -> None:
    facts = await share.facts()
    assert (facts["objects"], facts["generation"], facts["links"]) == ([], 0, [])


async def test_an_object_may_have_8_mib(share: Share) -> None:
    assert (await share.put(0, bytes(8 * MIB))).status == 201


async def test_an_object_of_8_mib_and_a_byte_is_refused(share: Share) -> None:
    answer = await share.put(0, bytes(8 * MIB + 1))
    assert (answer.status, answer.code) == (413, "too_large")


async def test_a_chunked_object_is_counted_while_it_arrives(share: Share) -> None:
    async def endless() -> object:
        while True:
            yield bytes(MIB)

    path = f"{share.path}/objects/0"
    headers = share.box.sign("PUT", path, b"whatever")
    async with share.box.served.session.put(share.box.served.url + path, data=endless(), headers=headers) as response:
        assert response.status == 413
    assert (await share.facts())["objects"] == []


async def test_another_devices_share_is_unknown_in_every_way(share: Share) -> None:
    other = Share(await share.box.served.box(), share.share_id)
    answers = [
        await other.box.ask("PUT", other.path, {}),
        await other.box.ask("GET", other.path),
        await other.box.ask("DELETE", other.path),
        await other.put(0, b"x"),
        await other.put_manifest(1, b"x"),
        await Link(other, {"factor": "none", **_rest()}).put(),
    ]
    assert {(answer.status, answer.code) for answer in answers} == {(404, "share_unknown")}
    assert (await share.facts())["deleted"] is False


def _rest() -> dict[str, object]:
    return {
        "share_key": b64u(bytes(32)),
        "envelope": b64u(bytes(109)),
        "verifier": b64u(bytes(32)),
        "expires_in_s": 60,
        "grace_s": 0,
    }


async def test_what_goes_into_an_unknown_share_is_refused(box: Box) -> None:
    answer = await Share(box, b64u(b"u" * 16)).put(0, b"x")
    assert (answer.status, answer.code) == (404, "share_unknown")


async def test_a_newer_manifest_replaces_the_older_one_and_its_file(share: Share) -> None:
    assert (await share.put_manifest(1, b"one")).status == 201
    assert (await share.put_manifest(3, b"three")).status == 201
    assert (await share.facts())["generation"] == 3
    assert b"one" not in share.box.served.files().values()


async def test_an_older_manifest_is_accepted_and_not_kept(share: Share) -> None:
    await share.put_manifest(3, b"three")
    assert (await share.put_manifest(2, b"two")).status == 200
    assert (await share.facts())["generation"] == 3
    assert b"two" not in share.box.served.files().values()


async def test_the_same_manifest_again_is_fine_and_another_of_that_generation_is_not(share: Share) -> None:
    await share.put_manifest(1, b"one")
    assert (await share.put_manifest(1, b"one")).status == 200
    assert (await share.put_manifest(1, b"another")).code == "already_different"


async def test_deleting_a_share_destroys_links_and_objects_at_once(share: Share, link: Link) -> None:
    await share.put(0, b"object's ciphertext")
    await share.put_manifest(1, b"manifest's ciphertext")
    assert (await share.box.ask("DELETE", share.path)).status == 200
    assert not [path for path in share.box.served.files() if "/objects/" in path]
    assert (await link.look()).code == "link_revoked"
    facts = await share.facts()
    assert (facts["deleted"], facts["objects"], facts["links"][0]["state"]) == (True, [], "destroyed")


async def test_a_deleted_share_stays_deleted(share: Share, link: Link) -> None:
    await share.box.ask("DELETE", share.path)
    assert (await share.box.ask("DELETE", share.path)).status == 200
    puts = [
        await share.box.ask("PUT", share.path, {}),
        await share.put(0, b"x"),
        await share.put_manifest(1, b"x"),
        await link.put(),
    ]
    assert {(answer.status, answer.code) for answer in puts} == {(410, "share_deleted")}
    assert (await link.renew(3600)).code == "link_revoked"
    assert (await link.revoke()).status == 200


async def test_a_box_that_disconnects_in_the_middle_leaves_nothing(share: Share) -> None:
    served = share.box.served
    path = f"{share.path}/objects/0"
    body = secrets.token_bytes(4 * MIB)
    head = "".join(f"{name}: {value}\r\n" for name, value in share.box.sign("PUT", path, body).items())
    _, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
    writer.write(f"PUT {path} HTTP/1.1\r\nHost: vault\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode())
    writer.write(body[: 3 * MIB])
    await writer.drain()
    await served.clock.until_asleep()  # the body is being read
    writer.transport.abort()
    async with asyncio.timeout(10):
        while any("/objects/" in path for path in served.files()):  # noqa: ASYNC110 - only the disk can tell
            await asyncio.sleep(0.01)
    assert (await share.facts())["objects"] == []
    assert (await share.put(0, body)).status == 201


@pytest.mark.parametrize("number", ["-1", "01", "1.0", "x", "1e3", "99999999999", "%30", "%2e%2e", "٣"])
async def test_an_object_is_named_by_a_plain_number_only(share: Share, number: str) -> None:
    from urllib.parse import quote

    path = f"{share.path}/objects/{quote(number, safe='%')}"
    headers = share.box.sign("PUT", path, b"x")
    answer = await share.box.served.ask("PUT", path, b"x", headers)
    assert answer.status in ((201,) if number == "%30" else (400,))
