"""How a request for a share moves on, from the wish to the paper."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from appliance.core.completeness import Source
from appliance.core.request import RequestKind, RequestState
from appliance.core.share import ShareEvent
from appliance.daemon.judging import Named
from appliance.daemon.minting import When
from appliance.daemon.requesting import MISSING_FOR_S
from appliance.daemon.requests import Request, Wish
from tests.daemon import asking
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import QUIET_S, VISIT_S, House, Image, images, terms
from tests.fakes.slip_printers import PaperOutPrinter
from tests.fakes.vault import DownVault

UID = "1.2.826.4711.9.1"


@pytest.fixture
async def robot(make_house: MakeHouse) -> AsyncIterator[House]:
    """A box whose profile prints nothing before it is asked."""
    async with make_house(profiles={"SHARE": terms(when=When.REQUEST)}) as one:
        one.start()
        yield one


async def ask(box: House, *several: Image, studies: tuple[str, ...] = (), **wish) -> None:
    named = [Named("1.2.840.10008.5.1.4.1.1.2", image.uid) for image in several]

    def work(tx):
        box.claims.name(tx, Source.MEDIA_CREATION, UID, "", named)
        what = Wish(studies=studies, named=bool(named), **wish)
        box.requests.add(tx, RequestKind.MEDIA_CREATION, UID, "SHARE", "PACS", what, RequestState.PENDING)

    await box.journal.run(work)
    box.bell.ring()


async def request(box: House) -> Request:
    found = await box.journal.run(lambda tx: box.requests.find(tx, UID))
    assert found is not None
    return found


async def is_in(box: House, state: RequestState, step_s: float = 0.0) -> Request:
    await box.until_rows("requests_in_state", lambda rows: rows, state=str(state), step_s=step_s)
    return await request(box)


async def test_images_alone_print_nothing_where_a_request_is_due(robot: House) -> None:
    await robot.send(*images("A", 2))
    await robot.settled()
    assert not robot.printer.jobs


async def test_a_request_for_what_is_here_brings_its_slip_and_is_done_when_all_is_at_the_vault(robot: House) -> None:
    await robot.send(*images("A", 2))
    await ask(robot, *images("A", 2))
    done = await is_in(robot, RequestState.DONE, 0.3)
    assert len(robot.printer.jobs) == 1
    assert len(robot.opened().datasets) == 2
    assert await robot.journal.run(lambda tx: robot.requesting.pieces(tx, done)) == 1


async def test_a_request_waits_for_the_images_that_are_on_their_way(robot: House) -> None:
    await ask(robot, *images("A", 2))
    await robot.send(Image(number=1))
    await robot.settled()
    assert (await request(robot)).state is RequestState.PENDING
    assert not robot.printer.jobs
    await robot.send(Image(number=2))
    await is_in(robot, RequestState.DONE, 0.3)


async def test_a_request_of_which_images_never_come_fails_and_names_them(robot: House) -> None:
    await ask(robot, *images("A", 3))
    await robot.send(*images("A", 2))
    await robot.settled()
    robot.clock.advance(MISSING_FOR_S + 1)
    failed = await is_in(robot, RequestState.FAILURE)
    assert failed.row["info"] == "NO_INSTANCE"
    missing = await robot.journal.run(lambda tx: robot.claims.named(tx, Source.MEDIA_CREATION, UID))
    assert [one.sop_instance_uid for one in missing] == [Image(number=3).uid]
    assert not robot.printer.jobs


async def test_two_patients_in_one_request_get_no_slip(robot: House) -> None:
    await robot.send(Image("A"), Image("B"))
    await ask(robot, Image("A"), Image("B"))
    assert (await is_in(robot, RequestState.FAILURE)).row["info"] == "NOT_SUPPORTED"
    await robot.settled()
    assert not robot.printer.jobs


async def test_a_held_share_keeps_its_request_waiting_for_a_person(robot: House) -> None:
    await robot.send(Image(), Image(study="2", name="OTHER^CANARYSON"))
    await ask(robot, Image(study="2"))
    await robot.settled()
    pending = await request(robot)
    assert pending.state is RequestState.PENDING
    assert await robot.journal.run(lambda tx: robot.requesting.is_held(tx, pending))
    held = (await robot.shares())[1]
    await robot.journal.run(lambda tx: robot.transitions.share(tx, held["id"], ShareEvent.RELEASED))
    await is_in(robot, RequestState.DONE, 0.3)
    assert len(robot.printer.jobs) == 1


async def test_a_slip_that_came_out_by_itself_answers_the_request(box: House) -> None:
    await box.send(*images("A", 2))
    await box.settled()
    await ask(box, *images("A", 2))
    await is_in(box, RequestState.DONE, 0.3)
    assert len(box.printer.jobs) == 1


async def test_a_vault_that_is_down_is_no_failure(make_house: MakeHouse) -> None:
    async with make_house(profiles={"SHARE": terms(when=When.REQUEST)}, vault=DownVault()) as box:
        box.start()
        await box.send(Image())
        await ask(box, Image())
        await is_in(box, RequestState.CREATING)
        box.clock.advance(3600)
        await box.until_rows("requests_in_state", lambda rows: rows, state="creating")


async def test_a_revoked_share_fails_its_request(make_house: MakeHouse) -> None:
    async with make_house(profiles={"SHARE": terms(when=When.REQUEST)}, vault=DownVault()) as box:
        box.start()
        await box.send(Image())
        await ask(box, Image())
        await is_in(box, RequestState.CREATING)
        await box.journal.run(lambda tx: box.transitions.share(tx, 1, ShareEvent.REVOKED))
        assert (await is_in(box, RequestState.FAILURE, 1.0)).row["info"] == "PROC_FAILURE"


async def test_a_request_survives_a_restart(make_house: MakeHouse) -> None:
    async with make_house(profiles={"SHARE": terms(when=When.REQUEST)}) as box:
        await ask(box, *images("A", 2), label="For Dr Lindqvist")
    async with make_house(profiles={"SHARE": terms(when=When.REQUEST)}) as box:
        box.start()
        await box.send(*images("A", 2))
        done = await is_in(box, RequestState.DONE, 0.3)
        assert done.wish.label == "For Dr Lindqvist"
        assert len(box.printer.jobs) == 1


async def test_an_urgent_request_lets_its_share_go_up_first(robot: House) -> None:
    await robot.send(Image("A"))
    await robot.settled()
    await ask(robot, Image("A"), urgent=True)
    await is_in(robot, RequestState.DONE, 0.3)
    assert (await robot.shares())[0]["urgent"] == 1


async def test_a_whole_study_is_waited_for_until_it_is_judged(robot: House) -> None:
    await robot.send(*images("A", 2))
    await ask(robot, studies=(Image().study_uid,))
    await robot.settled_relay()
    assert (await request(robot)).state is RequestState.PENDING
    robot.clock.advance(40)
    await is_in(robot, RequestState.DONE, 0.3)


async def test_a_request_taken_back_before_its_slip_is_out_prints_none(make_house: MakeHouse) -> None:
    async with make_house(profiles={"SHARE": terms(when=When.REQUEST)}, vault=DownVault()) as box:
        box.start()
        await box.send(Image())
        await ask(box, Image())
        creating = await is_in(box, RequestState.CREATING)
        assert await box.journal.run(lambda tx: box.requesting.take_back(tx, creating))
        assert [slip["state"] for slip in await box.rows("slips_of_share", share=1)] == ["void"]


async def test_what_was_taken_back_can_be_asked_for_again(make_house: MakeHouse) -> None:
    """With its last link the vault deletes a share, and the box does not have the images any more."""
    printer = PaperOutPrinter()
    async with make_house(profiles={"SHARE": terms(when=When.REQUEST)}, printer=printer) as box:
        box.start()
        await box.send(Image())
        await ask(box, Image())
        creating = await is_in(box, RequestState.CREATING)
        await box.until(lambda: box.vault.live_links)
        assert await box.journal.run(lambda tx: box.requesting.take_back(tx, creating))
        await box.settled()
        assert box.vault.live_links
        await box.journal.run(lambda tx: box.transitions.mint_requested(tx, 1))
        printer.load_paper()
        box.bell.ring()
        await box.settled()
        assert set(box.opened().datasets) == {Image().uid}
        assert len(box.vault.live_links) == 1


async def test_what_was_taken_back_leaves_the_word_to_others(make_house: MakeHouse) -> None:
    async with make_house(profiles={"SHARE": terms(when=When.REQUEST)}, printer=PaperOutPrinter()) as box:
        box.start()
        await asking.announce(box, *images("A", 3))
        await box.send(*images("A", 2))
        await asking.create(box, *images("A", 2))
        await asking.initiate(box)
        await box.until_rows("studies", lambda rows: rows[0]["state"] == "complete", share=1, step_s=0.3)
        await asking.cancel(box)
        box.clock.advance(QUIET_S + 1)
        (study,) = await box.until_rows("studies", lambda rows: rows[0]["state"] == "quiet", share=1, step_s=0.3)
        assert study["source"] == "2 of 3 images, as the PACS announced them; 1 missing"


async def test_what_failed_leaves_the_word_to_others(make_house: MakeHouse) -> None:
    async with make_house(profiles={"OTHER": terms(), "SHARE": terms(when=When.REQUEST)}) as box:
        box.start()
        await asking.announce(box, *images("A", 3))
        await box.send(*images("A", 2, profile="OTHER"))
        await asking.create(box, *images("A", 2))
        await asking.initiate(box)
        await box.until_rows("studies", lambda rows: rows and rows[0]["state"] == "complete", share=1, step_s=0.3)
        box.clock.advance(MISSING_FOR_S + 1)
        await asking.until_told(box, "FAILURE")
        (study,) = await box.until_rows("studies", lambda rows: rows[0]["state"] == "quiet", share=1, step_s=1.0)
        assert study["source"] == "2 of 3 images, as the PACS announced them; 1 missing"


async def test_a_clock_that_goes_back_keeps_no_request_waiting(robot: House) -> None:
    await robot.send(Image())
    await ask(robot, *images("A", 2))
    await is_in(robot, RequestState.PENDING)
    robot.clock.jump(-3650 * 86400)
    await is_in(robot, RequestState.FAILURE, step_s=1.0)


async def test_a_slip_that_is_out_cannot_be_taken_back(robot: House) -> None:
    await robot.send(Image())
    await ask(robot, Image())
    done = await is_in(robot, RequestState.DONE, 0.3)
    assert not await robot.journal.run(lambda tx: robot.requesting.take_back(tx, done))


async def test_requests_that_ended_are_forgotten_after_days_and_not_before(robot: House) -> None:
    await robot.send(Image())
    await ask(robot, Image())
    await is_in(robot, RequestState.DONE, 0.3)
    robot.clock.advance(2 * 86400.0)
    await robot.journal.run(robot.requests.forget_old)
    await request(robot)
    robot.clock.advance(2 * 86400.0)
    await robot.journal.run(robot.requests.forget_old)
    assert await robot.journal.run(lambda tx: robot.requests.find(tx, UID)) is None


async def test_images_that_nobody_asked_for_in_their_visit_are_given_up(robot: House) -> None:
    robot.vault_time[0] = robot.clock.now()
    await robot.send(Image())
    await robot.settled()
    robot.clock.advance(VISIT_S + QUIET_S)
    await robot.until_rows("shares", lambda rows: rows[0]["state"] == "revoked", limit=9)
    await robot.settled()
    assert all(share.deleted for share in robot.vault.shares.values())


async def test_a_request_whose_slip_never_came_out_fails_when_its_time_is_over(make_house: MakeHouse) -> None:
    async with make_house(profiles={"SHARE": terms(when=When.REQUEST, interlock=True)}) as box:
        box.start()
        await box.send(*images("A", 2))
        await ask(box, *images("A", 2))
        await box.until_rows("slips_at_interlock", lambda rows: len(rows) == 1)
        box.vault_time[0] = box.vault.live_links[0].expires_at + 15 * 24 * 3600.0  # its grace is 14 days
        failed = await is_in(box, RequestState.FAILURE, step_s=3600.0)
        assert failed.row["info"] == "PROC_FAILURE"
