"""What `slipway shares show` tells of a share: its story in sentences, how it stands, and what can be done next."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from appliance.daemon.standing import Facts, moment
from appliance.daemon.telling import Telling
from appliance.ports import PrintOutcome
from tests.daemon.conftest import CANARIES, MakeHouse
from tests.daemon.house import QUIET_S, House, Image, images
from tests.daemon.test_deciding import decide, in_doubt
from tests.daemon.test_manifesting import claimed
from tests.fakes.slip_printers import AnsweringPrinter


async def shown(box: House, share: int = 1, command: str = "shares-show", **arguments: Any) -> dict[str, Any]:
    row = (await box.rows("share", id=share))[0]
    value: dict[str, Any] = await box.operating.command(command, {"id": row["share_id"].hex(), **arguments})
    return value


async def told(box: House, share: int = 1) -> list[str]:
    return [line["what"] for line in (await shown(box, share))["story"]]


async def quiet(box: House) -> None:
    await box.settled()
    box.clock.advance(QUIET_S + 1)
    await box.until_rows("arriving_studies", lambda rows: not rows)
    await box.settled()


async def until(box: House) -> str:
    return moment((await box.rows("links", share=1))[-1]["expires_at"], box.clock.now())


async def test_a_whole_visit_is_told_from_the_first_image_to_the_extension(box: House) -> None:
    await box.send(*images("A", 3))
    await box.settled()  # or the verdict and the slip would race
    await claimed(box, Image(), 3)
    await quiet(box)
    printed_until = await until(box)
    await claimed(box, Image(), 5)
    await box.send(*images("A", 2, series=2))
    await quiet(box)
    await shown(box, command="shares-extend", days=7, by="anna")
    await box.settled()
    number = (await box.rows("slips_of_share", share=1))[0]["number"]
    assert await told(box) == [
        "CT1 sent the first of 3 images; share opened.",
        f"Slip {number} printed; the patient opens it with the birth date, until {printed_until}.",
        "All 3 of 3 images are here, checked with the PACS.",
        "All 3 images are at the vault.",
        "2 more images came from CT1; the same slip shows them.",
        "All 5 of 5 images are here, checked with the PACS.",
        "All 5 images are at the vault.",
        f"anna extended it by 7 days, until {await until(box)}.",
    ]


async def test_missing_images_are_told_with_what_to_do(box: House) -> None:
    await claimed(box, Image(), 5)
    await box.send(*images("A", 3))
    await quiet(box)
    share = await shown(box)
    assert "3 of 5 images are here, checked with the PACS: 2 are missing." in [line["what"] for line in share["story"]]
    assert share["now"].startswith("2 of 5 images are missing. The patient opens it with the birth date until ")
    assert share["now"].endswith("What is missing joins the same slip when it is sent.")
    assert share["verdict"] == {"complete": False, "source": "query", "received": 3, "expected": 5, "missing": 2}


async def test_images_that_trickle_in_are_one_arrival_with_one_verdict(box: House) -> None:
    await box.send(Image(number=1))
    await quiet(box)
    for number in range(2, 5):
        await box.send(Image(number=number))
        await quiet(box)
    late = [what for what in await told(box) if "more image" in what or "No more" in what]
    assert len(late) == 3
    assert re.fullmatch(
        r"3 more images came from CT1; the same slip shows them \(3 times, the last at [\d:]{8}\)\.", late[1]
    )
    assert late[2] == "No more images for 30 s; nobody has checked that these are all."


async def test_that_all_is_at_the_vault_is_told_once_whoever_speaks_of_it_later(box: House) -> None:
    await box.send(*images("A", 3))
    await quiet(box)
    await claimed(box, Image(), 3)
    await box.journal.run(lambda tx: box.judging.heard(tx, box.claims.study_key(Image().study_uid)))
    await box.until_rows("studies", lambda rows: rows[0]["state"] == "complete", share=1)
    await box.settled()
    noted = [row["what"] for row in await box.rows("events_of_share", share=1)]
    assert noted.count("all 3 at the vault") == 1


async def test_a_further_study_of_the_visit_is_told_as_one(box: House) -> None:
    await box.send(*images("A", 2))
    await quiet(box)
    await box.send(*images("A", 3, study="2", sender="MR1"))
    await quiet(box)
    assert "MR1 sent another study, 3 images; the same slip shows it." in await told(box)


async def test_a_held_share_says_why_and_what_decides_it(box: House) -> None:
    await box.send(Image(patient_id=" "))
    await box.until_rows("shares", lambda rows: rows, limit=9)
    share = await shown(box)
    assert share["state"] == "held"
    assert [line["what"] for line in share["story"]] == [
        "CT1 sent an image.",
        "Held for a person: the images carry no Patient ID.",
    ]
    assert share["now"].startswith("Held, as the images carry no Patient ID: ")
    assert f"`slipway shares resolve {share['id']}`" in share["now"]


async def test_who_revoked_it_and_why_is_told(box: House) -> None:
    await box.send(Image())
    await box.settled()
    await shown(box, command="shares-revoke", why="wrong patient at the desk", by="anna")
    await box.settled()
    said = await told(box)
    assert "anna revoked it: wrong patient at the desk." in said
    assert (await shown(box))["now"].startswith("Revoked: no slip opens it")


async def test_a_slip_that_nobody_can_prove_asks_for_a_look(make_house: MakeHouse) -> None:
    async with make_house(printer=AnsweringPrinter([PrintOutcome.TAKEN, PrintOutcome.PRINTED])) as box:
        box.start()
        await box.send(Image())
        await box.until_rows("slips_of_share", lambda rows: rows and rows[0]["state"] == "unconfirmed", share=1)
        share = await shown(box)
        number = share["slips"][0]["number"]
        assert any(line["what"].startswith(f"Slip {number} printed, if the printer did") for line in share["story"])
        assert f"`slipway slips confirm {number}` or `slipway slips lost {number}`" in share["now"]
        await box.operating.command("slips-lost", {"number": number, "by": "anna"})
        await box.settled()
        assert any(what.startswith(f"anna said that slip {number} did not come out well") for what in await told(box))


async def test_an_expired_slip_says_how_it_is_switched_on_again(box: House) -> None:
    await box.send(Image())
    await box.settled()
    box.vault_time[0] = box.vault.live_links[0].expires_at
    await box.until_rows("links", lambda rows: rows[0]["state"] == "expired", share=1)
    share = await shown(box)
    assert "Its time is over: the slip opens nothing until somebody extends it." in [s["what"] for s in share["story"]]
    (link,) = await box.rows("links", share=1)
    until_when = moment(link["expires_at"] + link["grace_s"], box.clock.now())
    again = f"`slipway shares extend {share['id']}` makes the same slip open it again, until {until_when}."
    assert share["now"].endswith(again)


@pytest.mark.parametrize(
    ("note", "by", "sentence"),
    [
        ("share taken back: not hers", "anna", "anna took it back: not hers."),
        ("share approved", "ben", "ben approved it."),
        ("approvals are void: another study came", "", "Approvals count no more: another study came."),
        ("share released: the report is here", "", "It was handed out: the report is here."),
        ("share released", "anna", "anna handed it out."),
        ("share 1a2b3c4d joined it after 0", "anna", "anna: 1 image of share 1a2b3c4d joined it."),
        ("images from CT1", "", "CT1 sent an image; share opened."),
        ("late images after 1 from CT1", "", "More images came from CT1."),  # they are in another share by now
        ("share joined to another share: 5e6f7081", "", "It joined another: its images are in share 5e6f7081 now."),
        ("share reprinted: torn", "anna", "anna asked for another slip: torn."),
        ("share delivered", "", "The visit is over and all is delivered: the box has forgotten its keys."),
        ("asked for by PACS1 (media-creation)", "", "PACS1 asked for it (media creation)."),
        ("no longer asked for by PACS1", "", "PACS1 does not ask for it any more."),
        ("slip S-00001 refused", "", "The printer did not take slip S-00001: it waits."),
        (
            "slip S-00001 lost",
            "",
            "Nobody knows whether slip S-00001 came out: its code opens nothing any more, another is printed.",
        ),
        ("slip S-00001 released by wristband", "", "The patient's wristband was scanned: slip S-00001 may be printed."),
        ("register-link: the vault refused it", "", "The vault: the vault refused it."),
        ("1 of 1 image, as they were asked for", "", "All 1 of 1 image is here, as they were asked for."),
        (
            "4 of 4 images, as they were asked for; 2 more",
            "",
            "All 4 of 4 images are here, as they were asked for, and 2 more.",
        ),
        ("link minted", "", None),
        ("share left without a link", "", None),
    ],
)
def test_what_is_noted_tersely_is_told_in_sentences(note: str, by: str, sentence: str | None) -> None:
    noted = {"at": 1_795_000_000.0, "what": note, "by": by}
    facts = Facts({}, [], [], [], 1, 1, waits_for_all=False, notes=[noted], now=1_795_000_000.0)
    assert [beat.sentence for beat in Telling(facts).beats()] == ([sentence] if sentence else [])


async def test_both_shares_tell_of_the_join_and_whose_images_were_whose(box: House) -> None:
    here = await in_doubt(box)
    await decide(box, here, "same-person")
    await box.settled()
    there = (await shown(box))["id"]
    assert (await told(box))[0] == "CT1 sent an image; share opened."
    assert f"ada: 2 images of share {here} joined it." in await told(box)
    assert f"ada joined it to another: its images are in share {there} now." in await told(box, 2)
    assert (await shown(box, 2))["now"] == "Over: all that it had is in another share."


async def test_a_note_that_nobody_knows_is_told_as_it_stands(box: House) -> None:
    await box.send(Image())
    await box.settled()
    note = box.transitions.note
    await box.journal.run(lambda tx: note(tx, 1, "looked at sideways", by="anna"))
    assert (await told(box))[-1] == "anna: Looked at sideways."


async def test_the_story_never_says_more_of_a_patient_than_the_lists(box: House) -> None:
    await box.send(*images("A", 2))
    await quiet(box)
    await shown(box, command="shares-extend", days=1, by="anna")
    text = str(await shown(box))
    assert not [canary for canary in CANARIES if canary in text]


@pytest.mark.parametrize("sender", ["CT\x1b[2J", "CT\n"])
async def test_a_senders_name_cannot_steer_the_terminal(box: House, sender: str) -> None:
    await box.send(Image(sender=sender))
    await box.settled()
    assert all(what.isprintable() for what in await told(box))


def test_times_are_said_as_people_do() -> None:
    at = time.mktime((2026, 11, 28, 9, 12, 0, 0, 0, -1))
    assert moment(at, at - 86400) == "28 Nov 09:12"
    assert moment(at, at + 200 * 86400) == "28 Nov 2026 09:12"
