"""What people decide of held shares, what rules hold back, and that nothing is lost or handed out on the way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from appliance.daemon.minting import When
from appliance.errors import NotFoundError, NotPossibleError
from appliance.formats.audit import Kind
from appliance.ports import Row
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import BIRTH_DATE, VISIT_S, House, Image, terms
from tests.daemon.scans import DOSE_REPORT, REPORT, Scan, at_vault, doubts, id_of, placed, rules, uids

NAME, OTHER_NAME = "CANARYSON^ADALBERTA", "CANARYSON^ADALBERT"
OPEN = ("open", "")


def scan(**changes: Any) -> Scan:
    return Scan(**{"name": NAME} | changes)


OTHER = [scan(study="2", number=number, name=OTHER_NAME) for number in (1, 2)]


async def in_doubt(box: House) -> str:
    """An open share, and one that may belong with it; the second one's id."""
    await box.send(scan(), *OTHER)
    await placed(box)
    await box.settled()
    return await id_of(box, 1)


async def decide(box: House, share: str, decision: str, **arguments: Any) -> dict[str, Any]:
    asked = {"id": share, "decision": decision, "by": "ada", "why": "asked her"} | arguments
    result: dict[str, Any] = await box.operating.command("shares-resolve", asked)
    return result


async def release(box: House, share: str, by: str = "ada", **arguments: Any) -> dict[str, Any]:
    result: dict[str, Any] = await box.operating.command("shares-release", {"id": share, "by": by} | arguments)
    return result


async def share_row(box: House, which: int) -> Row:
    return (await placed(box))[which]


async def kinds(box: House) -> list[Kind]:
    return [event.kind for event in await box.trail()]


# -- the same person ---------------------------------------------------------------------------------------------------


async def test_the_same_persons_images_join_the_other_share_and_no_second_slip_comes(box: House) -> None:
    said = await decide(box, await in_doubt(box), "same-person")
    await box.settled()
    assert "no second slip" in said["said"]
    assert set(box.opened().datasets) == uids([scan(), *OTHER])
    assert at_vault(box, await share_row(box, 0)).patient.name == NAME
    assert len(box.printer.jobs) == 1
    assert await doubts(box) == [OPEN, ("revoked", "")]
    assert Kind.SHARE_RESOLVED in await kinds(box)
    assert Kind.SHARE_REVOKED not in await kinds(box)


async def test_what_joined_is_known_there_when_it_is_sent_again(box: House) -> None:
    """Its identity is still doubtful: it is held, but the rest of its study is where it was."""
    await decide(box, await in_doubt(box), "same-person")
    await box.send(scan(), scan(study="2", number=3))
    await box.settled()
    assert [row["instances"] for row in await box.shares() if row["state"] == "open"] == [4]


async def test_images_of_one_study_on_both_sides_become_one_study(box: House) -> None:
    late = scan(number=2, name=OTHER_NAME)
    await box.send(scan(), late)
    await placed(box)
    await decide(box, await id_of(box, 1), "same-person")
    await box.settled()
    assert len(await box.rows("studies", share=1)) == 1
    assert set(box.opened().datasets) == {scan().uid, late.uid}


async def test_where_the_other_share_is_over_by_now_it_gets_a_slip_of_its_own(box: House) -> None:
    share = await in_doubt(box)
    await box.operating.command("shares-revoke", {"id": await id_of(box, 0)})
    said = await decide(box, share, "same-person")
    await box.settled()
    assert "is revoked by now" in said["said"]
    assert len(box.printer.jobs) == 2
    assert set(box.opened(which=1).datasets) == uids(OTHER)


async def test_images_that_arrive_in_the_moment_of_the_decision_are_not_lost(box: House) -> None:
    share = await in_doubt(box)
    more = [scan(study="2", number=number, name=OTHER_NAME) for number in range(3, 30)]

    async def send() -> None:
        for image in more:
            await box.send(image)

    await asyncio.gather(send(), decide(box, share, "same-person"))
    await box.settled()
    rows = await box.shares()
    assert sum(row["instances"] for row in rows) == 3 + len(more)
    assert {row["state"] for row in rows if row["instances"]} <= {"open", "held"}


async def test_without_a_rival_it_must_be_named(box: House) -> None:
    await box.send(scan(), scan(patient="B", patient_id="none", name=""))
    await placed(box)
    share = await id_of(box, 1)
    with pytest.raises(NotPossibleError) as raised:
        await decide(box, share, "same-person")
    assert "--with" in raised.value.hint
    await decide(box, share, "same-person", **{"with": await id_of(box, 0)})
    await box.settled()
    assert len(box.opened().datasets) == 2
    assert len(box.printer.jobs) == 1


async def test_a_share_cannot_join_itself(box: House) -> None:
    share = await in_doubt(box)
    with pytest.raises(NotPossibleError):
        await decide(box, share, "same-person", **{"with": share})
    with pytest.raises(NotFoundError):
        await decide(box, share, "same-person", **{"with": "00000000"})


async def test_what_cannot_be_carried_out_changes_nothing(box: House) -> None:
    await box.send(scan(patient_id="none", name=""))
    (before,) = await placed(box)
    with pytest.raises(NotPossibleError):
        await decide(box, await id_of(box, 0), "same-person")
    (after,) = await box.shares()
    assert before == after
    assert Kind.SHARE_RESOLVED not in await kinds(box)


# -- two people, and nobody --------------------------------------------------------------------------------------------


async def test_two_people_get_two_slips(box: House) -> None:
    await decide(box, await in_doubt(box), "two-people")
    await box.settled()
    assert len(box.printer.jobs) == 2
    assert [set(box.opened(which=which).datasets) for which in (0, 1)] == [{scan().uid}, uids(OTHER)]
    assert {Kind.SHARE_RESOLVED, Kind.SHARE_RELEASED} <= set(await kinds(box))


async def test_what_is_discarded_never_leaves_and_its_spool_goes(box: House) -> None:
    share = await in_doubt(box)
    await decide(box, share, "discard")
    await box.settled()
    row = await share_row(box, 1)
    assert row["state"] == "revoked"
    assert row["sealed"] is None
    assert row["share_id"] not in box.vault.shares
    assert await box.rows("live_files") == []


@pytest.mark.parametrize("decision", ["same-person", "two-people", "discard"])
async def test_only_a_held_share_is_resolved(box: House, decision: str) -> None:
    await box.send(scan())
    await placed(box)
    with pytest.raises(NotPossibleError, match="only a held one"):
        await decide(box, await id_of(box, 0), decision)


# -- side by side ------------------------------------------------------------------------------------------------------


async def test_a_held_share_shows_both_versions_and_marks_what_differs(box: House) -> None:
    share = await in_doubt(box)
    told = await box.operating.command("shares-show", {"id": share, "by": "ada"})
    sides = {side["attribute"]: side for side in told["held"]["sides"]}
    assert (sides["Patient's Name"]["here"], sides["Patient's Name"]["other"]) == (OTHER_NAME, NAME)
    assert [name for name, side in sides.items() if side["differs"]] == ["Patient's Name"]
    assert (sides["Images"]["here"], sides["Images"]["other"]) == ("2", "1")
    assert sides["Birth Date"]["here"] == BIRTH_DATE
    assert told["held"]["other"] == {"id": await id_of(box, 0), "state": "open"}
    shown = [event for event in await box.trail() if event.kind is Kind.SHARE_SHOWN]
    assert (shown[-1].by, shown[-1].share) == ("ada", share)


async def test_of_an_open_share_nothing_of_the_patient_is_shown(box: House) -> None:
    await in_doubt(box)
    told = await box.operating.command("shares-show", {"id": await id_of(box, 0)})
    assert "held" not in told
    assert OTHER_NAME not in str(told)


async def test_a_share_that_has_forgotten_its_patient_is_shown_without(box: House) -> None:
    share = await in_doubt(box)
    await box.operating.command("shares-revoke", {"id": await id_of(box, 0)})
    told = await box.operating.command("shares-show", {"id": share})
    assert told["held"]["other"]["state"] == "revoked"
    assert {side["other"] for side in told["held"]["sides"]} == {""}
    assert not any(side["differs"] for side in told["held"]["sides"])


async def test_the_shell_gets_ids_and_nothing_of_a_patient(box: House) -> None:
    share = await in_doubt(box)
    assert {"id": share, "state": "held"} in await box.operating.command("shares-ids", {})
    assert Kind.PATIENTS_LISTED not in await kinds(box)


# -- taking back -------------------------------------------------------------------------------------------------------


async def test_a_share_that_is_taken_back_is_dead_paper_at_once_and_comes_again_on_a_new_slip(box: House) -> None:
    await box.send(scan())
    await box.settled()
    share = await id_of(box, 0)
    await box.operating.command("shares-hold", {"id": share, "why": "wrong name"})
    await box.settled()
    assert await doubts(box) == [("held", "held-back")]
    with pytest.raises(KeyError):
        box.opened()
    await release(box, share)
    await box.settled()
    assert await doubts(box) == [OPEN]
    assert len(box.printer.jobs) == 2
    assert set(box.opened().datasets) == {scan().uid}
    assert Kind.SHARE_HELD in await kinds(box)


async def test_the_vault_keeps_what_was_taken_back_behind_a_link_that_opens_nothing(box: House) -> None:
    """With its last link it would delete the share, and the box has not all of its images any more."""
    await box.send(scan())
    await box.settled()
    await box.operating.command("shares-hold", {"id": await id_of(box, 0)})
    await box.settled()
    (kept,) = box.vault.live_links
    assert box.vault.calls.index("delete_link") > len(box.vault.calls) - box.vault.calls[::-1].index("put_link") - 1
    assert not await box.rows("slips_of_link", link=2)
    await release(box, await id_of(box, 0))
    await box.settled()
    assert kept.destroyed
    assert len(box.vault.live_links) == 1


async def test_all_of_the_visit_stays_with_what_was_taken_back(box: House) -> None:
    await box.send(scan())
    await box.settled()
    await box.operating.command("shares-hold", {"id": await id_of(box, 0)})
    await box.send(scan(number=2), scan(study="2", number=3))
    await box.settled()
    assert await doubts(box) == [("held", "held-back")]
    assert (await box.shares())[0]["instances"] == 3


async def test_what_has_been_at_the_vault_joins_no_other_share(box: House) -> None:
    share = await in_doubt(box)
    await release(box, share)
    await box.settled()
    await box.operating.command("shares-hold", {"id": share})
    with pytest.raises(NotPossibleError, match="at the vault already"):
        await decide(box, share, "same-person")
    assert (await doubts(box))[1] == ("held", "held-back")


@pytest.mark.parametrize(("state", "do"), [("closed", "shares revoke"), ("revoked", ""), ("held", "")])
async def test_only_an_open_share_is_taken_back(box: House, state: str, do: str) -> None:
    await box.send(scan())
    await placed(box)
    await box.journal.run(lambda tx: tx.do("set_share_state", id=1, state=state))
    with pytest.raises(NotPossibleError) as raised:
        await box.operating.command("shares-hold", {"id": await id_of(box, 0)})
    assert do in raised.value.hint


# -- the report --------------------------------------------------------------------------------------------------------


async def test_nothing_leaves_before_the_report_and_then_all_by_itself(make_house: MakeHouse) -> None:
    async with make_house(rules=rules(hold_for_report=True)) as box:
        box.start()
        await box.send(scan(), scan(number=2, sop_class=DOSE_REPORT))
        await box.settled()
        assert await doubts(box) == [("held", "")]
        (listed,) = await box.operating.command("shares-list", {"held": True})
        assert listed["waits_for"] == "the report of 1 study"
        assert (await box.operating.command("status", {}))["shares_held"] == 0  # nobody has anything to do
        assert box.vault.shares == {}
        await box.send(scan(number=3, sop_class=REPORT))
        await box.settled()
        assert await doubts(box) == [OPEN]
        assert len(box.opened().datasets) == 3
        assert len(box.printer.jobs) == 1


async def test_the_report_of_each_study_is_waited_for_also_after_the_visit(make_house: MakeHouse) -> None:
    async with make_house(rules=rules(hold_for_report=True)) as box:
        box.start()
        await box.send(scan(), scan(study="2"), scan(number=2, sop_class=REPORT))
        assert await doubts(box) == [("held", "")]
        box.clock.advance(VISIT_S + 3600)
        await box.send(scan(study="2", number=2, sop_class=REPORT))
        await box.settled()
        assert await doubts(box) == [OPEN]
        assert len(box.opened().datasets) == 4


async def test_a_further_study_waits_for_its_own_report_and_joins_the_slip_that_is_out(make_house: MakeHouse) -> None:
    async with make_house(rules=rules(hold_for_report=True)) as box:
        box.start()
        await box.send(scan(), scan(number=2, sop_class=REPORT))
        await box.settled()
        await box.send(scan(study="2"), scan(number=3))
        await box.settled()
        assert await doubts(box) == [OPEN, ("held", "")]
        assert len(box.opened().datasets) == 3
        await box.send(scan(study="2", number=2, sop_class=REPORT))
        await box.settled()
        assert await doubts(box) == [OPEN, ("revoked", "")]
        assert len(box.opened().datasets) == 5
        assert len(box.printer.jobs) == 1


async def test_a_person_may_hand_it_out_without_the_report_by_saying_so(make_house: MakeHouse) -> None:
    async with make_house(rules=rules(hold_for_report=True)) as box:
        box.start()
        await box.send(scan())
        await placed(box)
        with pytest.raises(NotPossibleError) as raised:
            await release(box, await id_of(box, 0))
        assert "--without-report" in raised.value.hint
        await release(box, await id_of(box, 0), without_report=True)
        await box.settled()
        assert await doubts(box) == [OPEN]


# -- people who look ---------------------------------------------------------------------------------------------------


async def test_two_different_people_must_release_it(make_house: MakeHouse) -> None:
    async with make_house(rules=rules(approvals=2)) as box:
        box.start()
        await box.send(scan())
        await placed(box)
        share = await id_of(box, 0)
        assert "1 person" in (await release(box, share, "ada"))["said"]
        assert "ada counts already" in (await release(box, share, "ada (as root)"))["said"]
        assert (await box.operating.command("shares-list", {"held": True}))[0]["waits_for"] == "1 person to release it"
        assert await doubts(box) == [("held", "")]
        await release(box, share, "ben")
        await box.settled()
        assert await doubts(box) == [OPEN]
        assert (await kinds(box)).count(Kind.SHARE_APPROVED) == 1


async def test_nobody_is_no_person(make_house: MakeHouse) -> None:
    async with make_house(rules=rules(approvals=1)) as box:
        box.start()
        await box.send(scan())
        await placed(box)
        with pytest.raises(NotPossibleError):
            await release(box, await id_of(box, 0), "")


async def test_an_approval_is_for_what_was_there(make_house: MakeHouse) -> None:
    async with make_house(rules=rules(approvals=2)) as box:
        box.start()
        await box.send(scan())
        await placed(box)
        share = await id_of(box, 0)
        await release(box, share, "ada")
        await box.send(scan(number=2))
        await release(box, share, "ada")
        await box.send(scan(study="2"))
        await placed(box)
        assert "1 person" in (await release(box, share, "ben"))["said"]
        assert await doubts(box) == [("held", "")]


async def test_all_rules_must_be_fulfilled_in_whatever_order(make_house: MakeHouse) -> None:
    for order in ("report first", "people first"):
        async with make_house(rules=rules(approvals=2, hold_for_report=True)) as box:
            box.start()
            patient = order[0].upper()
            report = scan(patient=patient, number=2, sop_class=REPORT, name=f"{order}^X")
            await box.send(scan(patient=patient, name=f"{order}^X"))
            await placed(box)
            share = await id_of(box, -1)
            if order == "report first":
                await box.send(report)
            for person in ("ada", "ben"):
                assert (await doubts(box))[-1] == ("held", "")
                await release(box, share, person)
            if order == "people first":
                assert (await doubts(box))[-1] == ("held", "")
                await box.send(report)
            await box.settled()
            assert (await doubts(box))[-1] == OPEN


async def test_who_resolves_a_doubt_is_the_first_of_two(make_house: MakeHouse) -> None:
    """Nothing of it joins what is out before the second one has looked."""
    async with make_house(rules=rules(approvals=2)) as box:
        box.start()
        await box.send(scan())
        await placed(box)
        for person in ("ada", "ben"):
            await release(box, await id_of(box, 0), person)
        await box.send(*OTHER)
        await placed(box)
        share = await id_of(box, 1)
        assert "1 person" in (await decide(box, share, "same-person"))["said"]
        await box.settled()
        assert set(box.opened().datasets) == {scan().uid}
        assert "behind the slip" in (await release(box, share, "ben"))["said"]
        await box.settled()
        assert set(box.opened().datasets) == uids([scan(), *OTHER])
        assert len(box.printer.jobs) == 1


# -- never without a person --------------------------------------------------------------------------------------------

NEVER = {
    "procedure": {"procedure": "RPID16"},
    "requested procedure": {"requested": "rpid16"},
    "requested procedure of its series": {"ordered": "RPID16"},
    "body part": {"body_part": "BREAST"},
}


def strict() -> dict[str, Any]:
    return rules(never_procedure_codes=("RPID16",), never_body_parts=("Breast",))


@pytest.mark.parametrize("what", NEVER)
async def test_a_study_that_is_never_handed_out_is_held_by_itself(make_house: MakeHouse, what: str) -> None:
    async with make_house(rules=strict()) as box:
        box.start()
        secret = [scan(study="2", number=1, **NEVER[what]), scan(study="2", number=2)]
        await box.send(scan(procedure="X", body_part="CHEST"), *secret, scan(study="3", number=3))
        await box.settled()
        assert await doubts(box) == [OPEN, ("held", "")]
        assert set(box.opened().datasets) == {scan().uid, scan(study="3", number=3).uid}
        await release(box, await id_of(box, 1))
        await box.send(scan(study="2", number=4, **NEVER[what]))
        await box.settled()
        assert await doubts(box) == [OPEN, OPEN]
        assert len(box.opened(which=1).datasets) == 3


async def test_it_may_be_handed_out_with_the_patients_other_studies(make_house: MakeHouse) -> None:
    async with make_house(rules=strict()) as box:
        box.start()
        await box.send(scan(), scan(study="2", number=2, body_part="BREAST"))
        await placed(box)
        await decide(box, await id_of(box, 1), "same-person")
        await box.send(scan(study="2", number=3, body_part="BREAST"))
        await box.settled()
        assert len(box.opened().datasets) == 3
        assert len(box.printer.jobs) == 1


async def test_an_image_that_shows_it_late_is_held_and_the_open_share_says_so(make_house: MakeHouse) -> None:
    async with make_house(rules=strict()) as box:
        box.start()
        await box.send(scan(), scan(number=2, body_part="BREAST"), scan(number=3))
        await box.settled()
        assert await doubts(box) == [OPEN, ("held", "")]
        assert set(box.opened().datasets) == {scan().uid, scan(number=3).uid}
        apart, notes = await id_of(box, 1), await box.rows("events_of_share", share=1)
        assert any(apart in note["what"] for note in notes)


async def test_where_nothing_is_out_the_whole_study_is_held_with_it(make_house: MakeHouse) -> None:
    async with make_house(rules=rules(hold_for_report=True, never_body_parts=("BREAST",))) as box:
        box.start()
        await box.send(scan(), scan(study="2"), scan(number=2, body_part="BREAST"), scan(number=3))
        assert await doubts(box) == [("held", ""), ("held", "")]
        assert [row["instances"] for row in await box.shares()] == [1, 3]
        await box.send(scan(study="2", number=2, sop_class=REPORT))
        await box.settled()
        assert await doubts(box) == [OPEN, ("held", "")]
        assert set(box.opened().datasets) == uids([scan(study="2"), scan(study="2", number=2)])


async def test_a_share_that_lost_its_only_study_to_the_rule_is_over(make_house: MakeHouse) -> None:
    async with make_house(rules=rules(approvals=1, never_body_parts=("BREAST",))) as box:
        box.start()
        await box.send(scan(), scan(number=2, body_part="BREAST"))
        assert await doubts(box) == [("revoked", ""), ("held", "")]
        assert (await box.shares())[1]["instances"] == 2


# -- extending ---------------------------------------------------------------------------------------------------------


async def expired(box: House, *, after_grace: bool) -> str:
    await box.send(Image())
    await box.settled()
    (link,) = await box.rows("links", share=1)
    over = link["expires_at"] + (link["grace_s"] if after_grace else 0) + 1
    for at in (link["expires_at"] + 1, over):
        box.vault_time[0] = box.vault.now = at
        await box.journal.run(box.sweeping._sweep)
    return await id_of(box, 0)


async def test_an_expired_link_is_extended_within_its_grace_and_the_paper_stays(box: House) -> None:
    share = await expired(box, after_grace=False)
    await box.operating.command("shares-extend", {"id": share, "days": 7})
    await box.settled()
    assert (await box.rows("links", share=1))[0]["state"] == "active"
    assert len(box.printer.jobs) == 1
    assert len(box.opened().datasets) == 1


async def test_after_its_grace_it_says_what_to_do(box: House) -> None:
    share = await expired(box, after_grace=True)
    with pytest.raises(NotFoundError) as raised:
        await box.operating.command("shares-extend", {"id": share, "days": 7})
    assert "slips reprint S-00001" in raised.value.hint


# -- the first slip, now -----------------------------------------------------------------------------------------------


async def print_now(box: House, share: str) -> dict[str, Any]:
    result: dict[str, Any] = await box.operating.command("shares-print", {"id": share, "by": "ada"})
    return result


@pytest.mark.parametrize("when", [When.REQUEST, When.COMPLETE])
async def test_a_slip_that_waits_for_a_request_or_for_the_whole_study_is_printed_when_staff_ask(
    make_house: MakeHouse, when: When
) -> None:
    async with make_house(profiles={"SHARE": terms(when=when)}) as box:
        box.start()
        await box.send(scan())
        await placed(box)
        assert not box.printer.jobs
        told = await print_now(box, await id_of(box, 0))
        await box.until(lambda: box.printer.jobs)
        assert told["said"] == "Its slip comes out now."
        assert Kind.SHARE_REQUESTED in await kinds(box)
        box.clock.advance(60)
        await box.settled()
        assert len(box.printer.jobs) == 1


async def test_a_share_that_has_its_slip_gets_no_second_one(box: House) -> None:
    await box.send(scan())
    await box.settled()
    with pytest.raises(NotPossibleError, match="has slip S-00001"):
        await print_now(box, await id_of(box, 0))


async def test_nothing_is_printed_of_a_held_share(box: House) -> None:
    with pytest.raises(NotPossibleError, match="is held"):
        await print_now(box, await in_doubt(box))
