"""What staff may ask of the running box: plain answers, and refusals that say what to do."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from appliance.daemon.slip_desk import JOB_TTL_S
from appliance.errors import NotFoundError, NotPossibleError, SlipwayError
from appliance.formats.moments import written
from appliance.ports import PrintOutcome
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, Image, images
from tests.fakes.slip_printers import (
    AnsweringPrinter,
    JealousPrinter,
    PaperOutPrinter,
    SilentOncePrinter,
    SlowPrinter,
)

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
WITHOUT_OFFSET = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?![+-])|\b1[789]\d{8}\b")  # or Unix seconds


async def test_the_status_of_a_box_at_rest_is_well(box: House) -> None:
    facts = await box.operating.command("status", {})
    assert [sentence["level"] for sentence in facts["sentences"]] == ["ok"]
    json.dumps(facts)


async def test_the_status_names_what_is_wrong(make_house: MakeHouse) -> None:
    async with make_house(printer=PaperOutPrinter()) as box:
        facts = await box.operating.command("status", {})
        assert any("out of paper" in sentence["what"] for sentence in facts["sentences"])
        assert facts["sentences"][0]["do"]


async def test_lists_show_initials_and_year_only(box: House) -> None:
    await box.send(*images("A", 2))
    await box.settled()
    text = json.dumps([await box.operating.command(name, {}) for name in ("shares-list", "slips-list", "peers-list")])
    assert "A.C. 1970" in text
    for canary in ("CANARYSON", "CANARY-4711", "19700131", "1.2.826.4711"):
        assert canary not in text


async def test_the_story_of_a_share_tells_what_happened_in_order(box: House) -> None:
    await box.send(Image())
    await box.settled()
    (listed,) = await box.operating.command("shares-list", {})
    story = await box.operating.command("shares-show", {"id": listed["id"]})
    assert [event["what"] for event in story["events"]] == [
        "images from CT1",
        "share opened",
        "link minted",
        f"good until {written(box.vault.live_links[0].expires_at)}",
        "link registered",
        "slip S-00001 started",
        "slip S-00001 confirmed",
    ]
    assert (story["images"], story["at_vault"]) == (1, 1)


async def test_every_time_that_leaves_the_box_has_its_offset(box: House) -> None:
    await box.send(Image())
    await box.settled()
    await box.operating.command("peers-approve", {"ae_title": "CT9", "address": "10.20.0.9"})
    (listed,) = await box.operating.command("shares-list", {})
    (peer,) = await box.operating.command("peers-list", {})
    (slip,) = await box.operating.command("slips-list", {})
    story = await box.operating.command("shares-show", {"id": listed["id"]})
    link = box.vault.live_links[0]
    assert slip["expires_at"] == story["links"][0]["expires_at"] == written(link.expires_at)
    times = [listed["opened_at"], peer["first_seen"], peer["last_seen"], slip["expires_at"], slip["printed_at"]]
    times += [one["at"] for one in (*story["events"], *story["story"])]
    assert all(RFC_3339.fullmatch(one) for one in times), times
    assert not WITHOUT_OFFSET.search(json.dumps([listed, peer, slip, story]))


@pytest.mark.parametrize("share_id", ["", "zzz", "0 OR 1=1", "%", "_"])
async def test_what_is_no_share_id_is_told_so(box: House, share_id: str) -> None:
    with pytest.raises(SlipwayError) as raised:
        await box.operating.command("shares-show", {"id": share_id})
    assert raised.value.hint


async def test_a_share_that_is_not_there_is_not_found(box: House) -> None:
    with pytest.raises(NotFoundError):
        await box.operating.command("shares-show", {"id": "0123abcd"})


async def test_an_id_that_two_shares_begin_with_is_ambiguous(box: House) -> None:
    await box.send(*[Image(patient=chr(65 + n)) for n in range(20)])
    await box.settled()
    ids = [row["share_id"].hex() for row in await box.shares()]
    twice = next(digit for digit in "0123456789abcdef" if sum(one.startswith(digit) for one in ids) > 1)
    with pytest.raises(NotFoundError, match="more than one"):
        await box.operating.command("shares-revoke", {"id": twice})


async def test_releasing_a_held_share_prints_its_slip(box: House) -> None:
    await box.send(Image(), Image(number=2, study="2", name="ANOTHER^NAME"))
    await box.settled()
    (held,) = await box.operating.command("shares-list", {"held": True})
    await box.operating.command("shares-release", {"id": held["id"], "why": "twins, checked"})
    await box.settled()
    assert len(box.printer.jobs) == 2
    assert set(box.opened(which=1).datasets) == {Image(number=2, study="2").uid}


async def test_a_held_share_cannot_be_reprinted_and_a_revoked_one_not_released(box: House) -> None:
    await box.send(Image())
    await box.settled()
    (share,) = await box.operating.command("shares-list", {})
    await box.operating.command("shares-revoke", {"id": share["id"]})
    with pytest.raises(NotPossibleError):
        await box.operating.command("slips-reprint", {"number": "S-00001", "why": "lost"})
    with pytest.raises(NotPossibleError):
        await box.operating.command("shares-release", {"id": share["id"]})


@pytest.mark.parametrize(
    ("state", "says", "do"),
    [
        ("closed", "its images were delivered and the box has forgotten their key", "Send the study to the box again"),
        ("revoked", "its share was revoked", "Send the study to the box again"),
        ("held", "its share is held", "shares release"),
    ],
)
async def test_a_slip_that_cannot_be_printed_again_says_why_and_what_to_do(
    box: House, state: str, says: str, do: str
) -> None:
    await box.send(Image())
    await box.settled()
    (share,) = await box.shares()
    await box.journal.run(lambda tx: tx.do("set_share_state", id=share["id"], state=state))
    with pytest.raises(NotPossibleError, match=f"slip S-00001 .*{says}") as raised:
        await box.operating.command("slips-reprint", {"number": "S-00001", "why": "lost"})
    assert do in raised.value.hint


async def test_a_slip_that_is_not_there_is_not_found(box: House) -> None:
    with pytest.raises(NotFoundError):
        await box.operating.command("slips-reprint", {"number": "S-99999", "why": "lost"})


async def test_a_command_of_another_version_is_not_found(box: House) -> None:
    with pytest.raises(NotFoundError):
        await box.operating.command("shares-teleport", {})


async def test_nothing_to_extend_is_told_so(box: House) -> None:
    await box.send(Image())
    await box.settled()
    (share,) = await box.operating.command("shares-list", {})
    await box.operating.command("shares-revoke", {"id": share["id"]})
    with pytest.raises(NotFoundError):
        await box.operating.command("shares-extend", {"id": share["id"], "days": 7})


async def test_a_test_slip_and_the_patients_slips_never_interleave(make_house: MakeHouse) -> None:
    async with make_house(printer=JealousPrinter()) as box:
        box.start()
        await box.send(Image())
        asked = [box.operating.command("printer-test", {}) for _ in range(2)]
        outcomes = await asyncio.gather(*asked)
        await box.until(lambda: len(box.printer.jobs) == 3)
        assert outcomes == ["printed", "printed"]
        assert sorted(job.number for job in box.printer.jobs) == ["S-00001", "TEST", "TEST"]
        assert not box.printer.interleaved


async def test_a_slip_that_waits_for_the_test_slip_is_not_yet_doubtful(make_house: MakeHouse) -> None:
    """If the box stopped now, its paper would certainly be white."""
    async with make_house(printer=SlowPrinter()) as box:
        test = asyncio.create_task(box.operating.command("printer-test", {}))
        await box.printer.started.wait()
        await box.send(Image())
        box.start()
        await box.until(lambda: box.printer.asked)  # now it is drawn, and would be started
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(box.until_rows("slips_printing", bool), 1)
        box.printer.finish()
        assert await test == "printed"
        await box.until(lambda: len(box.printer.jobs) == 2)
        assert [job.number for job in box.printer.jobs] == ["TEST", "S-00001"]


async def test_a_test_slip_that_is_not_confirmed_is_told_so_and_touches_no_share(make_house: MakeHouse) -> None:
    async with make_house(printer=SilentOncePrinter()) as box:
        box.start()
        assert await box.operating.command("printer-test", {}) == "unknown"
        await box.send(Image())
        await box.until(lambda: len(box.printer.jobs) == 2)
        assert [job.number for job in box.printer.jobs] == ["TEST", "S-00001"]


@pytest.mark.parametrize("address", ["abc", "10.20.0", "10.20.0.5; rm", "999.1.1.1"])
async def test_an_address_that_is_none_is_never_approved(box: House, address: str) -> None:
    """It would be read at the next start, and the box would not start."""
    with pytest.raises(NotFoundError):
        await box.operating.command("peers-approve", {"ae_title": "CT1", "address": address})
    assert await box.rows("peers") == []


async def test_an_unseen_peer_needs_its_address(box: House) -> None:
    with pytest.raises(NotFoundError):
        await box.operating.command("peers-approve", {"ae_title": "CT1"})
    approved = await box.operating.command("peers-approve", {"ae_title": "CT1", "address": "10.20.0.0/24"})
    assert approved == [{"ae_title": "CT1", "address": "10.20.0.0/24"}]


async def test_a_new_enrolment_is_tried_at_once(box: House) -> None:
    await box.journal.run(lambda tx: tx.do("add_effect", kind="register-link", share=1, link=1, slip=None))
    await box.stop("linking")
    await box.journal.run(lambda tx: tx.do("effect_failed", id=1, not_before=box.clock.now() + 60))
    await box.operating.command("reload", {})
    (effect,) = await box.rows("all_effects")
    assert effect["not_before"] == 0


async def test_a_slip_that_its_printer_cannot_answer_for_is_asked_about_until_staff_say(make_house: MakeHouse) -> None:
    async with make_house(printer=AnsweringPrinter([PrintOutcome.TAKEN])) as box:
        box.start()
        await box.send(Image())
        await box.until_rows("slips_of_share", lambda rows: rows and rows[0]["state"] == "unconfirmed", share=1)
        said = (await box.operating.command("status", {}))["sentences"]
        (question,) = [one for one in said if "S-00001" in one["what"]]
        assert "slips lost NUMBER" in question["do"]
        (slip,) = await box.operating.command("slips-list", {})
        assert "slips confirm" in slip["to_do"]
        await box.operating.command("slips-confirm", {"number": "S-00001"})
        said = (await box.operating.command("status", {}))["sentences"]
        assert not any("S-00001" in one["what"] for one in said)


async def test_a_slip_that_was_kept_back_is_in_the_status_until_it_is_released(make_house: MakeHouse) -> None:
    printer = PaperOutPrinter()
    async with make_house(printer=printer) as box:
        box.start()
        await box.send(Image())
        await box.until_rows("links", lambda rows: rows and rows[0]["state"] == "active", share=1)
        box.clock.advance(JOB_TTL_S + 1)
        await box.until_rows("slips_of_share", lambda rows: rows[0]["state"] == "overdue", share=1)
        said = (await box.operating.command("status", {}))["sentences"]
        assert any("waited too long" in one["what"] and "S-00001" in one["what"] for one in said)
        printer.load_paper()
        assert (await box.operating.command("slips-release", {"all": True}))["released"] == ["S-00001"]
        await box.settled()
        assert len(printer.jobs) == 1
