"""A decision is carried out as it was said, also when others must agree, and when shares move meanwhile."""

from __future__ import annotations

from typing import Any

from appliance.daemon.minting import When
from appliance.daemon.operating import LIST_LIMIT
from appliance.formats.audit import Kind
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, terms
from tests.daemon.scans import REPORT, Scan, doubts, id_of, placed, rules, uids

NAME, OTHER_NAME = "CANARYSON^ADALBERTA", "CANARYSON^ADALBERT"
OPEN, OVER = ("open", ""), ("revoked", "")


def scan(**changes: Any) -> Scan:
    return Scan(**{"name": NAME} | changes)


OTHER = scan(study="2", number=1, name=OTHER_NAME)
REUSED = scan(pixels=b"\x09\x09" * 50)  # all that identifies its patient is the first one's


async def ask(box: House, what: str, share: str, by: str = "ada", **arguments: Any) -> dict[str, Any]:
    asked = {"id": share, "by": by} | arguments
    result: dict[str, Any] = await box.operating.command(f"shares-{what}", asked)
    return result


async def resolve(box: House, share: str, decision: str, by: str = "ada", **arguments: Any) -> dict[str, Any]:
    return await ask(box, "resolve", share, by, decision=decision, **arguments)


async def test_two_people_stay_two_also_where_their_images_say_the_same(box: House) -> None:
    await box.send(scan())
    await box.send(REUSED)
    await placed(box)
    await resolve(box, await id_of(box, 1), "two-people")
    await box.settled()
    assert await doubts(box) == [OPEN, OPEN]
    assert [len(box.opened(which=which).datasets) for which in (0, 1)] == [1, 1]


async def test_what_is_released_in_doubt_goes_out_by_itself(box: House) -> None:
    await box.send(scan())
    await box.send(REUSED)
    await placed(box)
    assert (await ask(box, "release", await id_of(box, 1)))["said"] == "It goes out."
    assert await doubts(box) == [OPEN, OPEN]


async def out_and_in_doubt(box: House) -> str:
    """A share that two people have let out, and one in doubt beside it: its id."""
    await box.send(scan())
    await placed(box)
    for person in ("ada", "ben"):
        await ask(box, "release", await id_of(box, 0), person)
    await box.send(OTHER)
    return await id_of(box, 1)


async def test_who_looks_second_sees_what_differs(make_house: MakeHouse) -> None:
    async with make_house(rules=rules(approvals=2)) as box:
        box.start()
        share = await out_and_in_doubt(box)
        await resolve(box, share, "same-person", why="asked her")
        shown = await ask(box, "show", share, "ben")
        assert {side["attribute"] for side in shown["held"]["sides"] if side["differs"]} == {"Patient's Name"}
        said = f"ada approved it: same person as share {await id_of(box, 0)}, asked her."
        assert said in [told["what"] for told in shown["story"]]


async def test_who_looks_second_and_says_otherwise_is_the_first_who_says_so(make_house: MakeHouse) -> None:
    async with make_house(rules=rules(approvals=2)) as box:
        box.start()
        share = await out_and_in_doubt(box)
        await resolve(box, share, "same-person")
        assert "1 person" in (await resolve(box, share, "two-people", "ben"))["said"]
        assert (await doubts(box))[1] == ("held", "")
        await resolve(box, share, "two-people", "ada")
        await box.settled()
        assert await doubts(box) == [OPEN, OPEN]


async def test_more_of_the_study_joins_it_while_it_waits_for_the_second_and_another_study_does_not(
    make_house: MakeHouse,
) -> None:
    async with make_house(rules=rules(approvals=2)) as box:
        box.start()
        share = await out_and_in_doubt(box)
        await resolve(box, share, "same-person")
        more = scan(study="2", number=2, name=OTHER_NAME)
        await box.send(more, scan(study="3", name=OTHER_NAME))
        assert await doubts(box) == [OPEN, ("held", ""), ("held", "same-id-other-name")]
        await ask(box, "release", share, "ben")
        await box.settled()
        assert set(box.opened().datasets) == uids([scan(), OTHER, more])


async def test_a_report_that_came_in_doubt_lets_out_what_waited_for_it(make_house: MakeHouse) -> None:
    async with make_house(rules=rules(hold_for_report=True)) as box:
        box.start()
        await box.send(scan(), scan(number=2, sop_class=REPORT, name=OTHER_NAME))
        assert await doubts(box) == [("held", ""), ("held", "same-id-other-name")]
        await resolve(box, await id_of(box, 1), "same-person")
        await box.settled()
        assert await doubts(box) == [OPEN, OVER]
        assert len(box.opened().datasets) == 2


async def test_the_share_that_it_belongs_with_is_followed_into_another(box: House) -> None:
    """An image of a study in doubt that is itself in doubt: its study is resolved first."""
    changed = scan(study="2", number=2, name=OTHER_NAME, patient_id="99-88-77")
    await box.send(scan(), OTHER, changed)
    assert (await doubts(box))[2] == ("held", "id-changed-in-study")
    await resolve(box, await id_of(box, 1), "same-person")
    said = await resolve(box, await id_of(box, 2), "same-person")
    await box.settled()
    assert await id_of(box, 0) in said["said"]
    assert await doubts(box) == [OPEN, OVER, OVER]
    assert len(box.printer.jobs) == 1


async def test_what_waits_for_a_person_is_listed_however_many_shares_are_newer(box: House) -> None:
    await box.send(scan(patient_id="none"))
    share = await id_of(box, 0)

    def add(tx: Any) -> None:
        (row,) = tx.all("shares", limit=1)
        for number in range(LIST_LIMIT + 1):
            names = ("state", "profile", "patient_key", "sealed", "display", "held_because", "visit_ends_at")
            new = {name: row[name] for name in names} | {"state": "closed", "now": 0.0}
            tx.one("add_share", share_id=number.to_bytes(16, "big"), **new)

    await box.journal.run(add)
    assert [one["id"] for one in await box.operating.command("shares-list", {"held": True})] == [share]
    assert share in [one["id"] for one in await box.operating.command("shares-ids", {})]


async def test_only_show_tells_a_patients_name_and_pin(box: House) -> None:
    """Whoever sees them is on record."""
    await box.send(scan(birth_date=""))
    await box.settled()
    share = await id_of(box, 0)
    (link,) = (await ask(box, "extend", share, days=7))["links"]
    assert link["pin"] == ""
    told = await ask(box, "hold", share)
    assert NAME not in str(told)
    assert told["held"]["because"] == "it was taken back"
    assert Kind.SHARE_SHOWN not in [event.kind for event in await box.trail()]
    assert NAME in str(await ask(box, "show", share))


async def test_of_a_profile_that_the_settings_have_lost_nothing_goes_out_by_itself(box: House) -> None:
    await box.send(scan(profile="GONE"))
    assert await doubts(box) == [("held", "")]
    await ask(box, "release", await id_of(box, 0))
    assert await doubts(box) == [OPEN]


async def test_what_staff_wrote_moves_no_cursor(box: House) -> None:
    await box.send(scan())
    share = await id_of(box, 0)
    told = await ask(box, "hold", share, why="wrong\x1b[2J name\u009b2J.")
    (listed,) = await box.operating.command("shares-list", {"held": True})
    assert "because" in told["held"]
    for text in (told["now"], told["held"]["because"], listed["held_because"], *[one["what"] for one in told["story"]]):
        assert text.isprintable()
    assert "name?2J: no slip opens it." in told["now"]


async def test_of_what_was_discarded_nothing_is_said_to_be_at_the_vault(box: House) -> None:
    await box.send(scan(patient_id="none"))
    told = await resolve(box, await id_of(box, 0), "discard")
    assert (told["images"], told["at_vault"]) == (1, 0)
    assert [one["at_vault"] for one in await box.operating.command("shares-list", {})] == [0]


async def test_what_is_out_is_not_handed_out_twice(box: House) -> None:
    await box.send(scan())
    told = await ask(box, "release", await id_of(box, 0))
    assert told["said"] == "It is out already."
    assert not any("handed it out" in one["what"] for one in told["story"])


async def test_the_story_says_who_asked_for_the_first_slip(make_house: MakeHouse) -> None:
    async with make_house(profiles={"SHARE": terms(when=When.REQUEST)}) as box:
        box.start()
        await box.send(scan())
        told = await ask(box, "print", await id_of(box, 0), why="she waits")
        assert "ada asked for its slip now: she waits." in [one["what"] for one in told["story"]]
