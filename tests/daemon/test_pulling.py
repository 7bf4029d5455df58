"""Studies from the PACS: asked for by a person, named by a request, refused, resumed, cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from appliance.daemon.minting import When
from appliance.daemon.pacs_parts import PacsParts, pacs_parts
from appliance.daemon.request_parts import RequestParts
from appliance.errors import NotFoundError, NothingFoundError, PacsRefusedError, PacsUnreachableError, SlipwayError
from appliance.formats.audit import Kind
from appliance.formats.sealed import Sealer
from appliance.ports import FoundInstance, FoundStudy, Retrieved, Wanted
from tests.daemon import asking
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import BIRTH_DATE, KEY, NAME, PATIENT_ID, VISIT_S, House, Image, images, terms
from tests.fakes.pacs import DownPacs, GoodPacs, RefusingPacs, SlowPacs
from tests.fakes.vault import RememberingVault

ACCESSION = "A-2026-0042"
STUDY = Image().study_uid
A_MOMENT_S = 0.1


def study_of(image: Image, count: int | None = None, accession: str = ACCESSION) -> FoundStudy:
    person = {"patient_id": f"{PATIENT_ID}-{image.patient}", "patient_name": f"{NAME}{image.patient}"}
    return FoundStudy(
        image.study_uid, **person, birth_date=BIRTH_DATE, accession_number=accession, study_date="20261121",
        description="CT head", modalities="CT", instances=count,
    )  # fmt: skip


def instance_of(image: Image) -> FoundInstance:
    return FoundInstance(image.study_uid, f"{image.study_uid}.{image.series}", asking.CT, image.uid)


class Pulled:
    def __init__(self, box: House, pacs: GoodPacs, parts: PacsParts) -> None:
        self.box, self.pacs, self.parts = box, pacs, parts

    async def pull(self, what: str = "accession", value: str = ACCESSION, **options: Any) -> dict[str, Any]:
        return await self.parts.desk.commands["pull"]({what: value, "by": "ada", **options})

    async def show(self, request: int = 1) -> dict[str, Any]:
        told: dict[str, Any] = await self.parts.desk.commands["pull-show"]({"id": request})
        return told

    async def until(self, condition: Callable[[dict[str, Any]], Any], request: int = 1, step_s: float = 0.3) -> Any:
        """The request, once it is as wanted."""
        async with asyncio.timeout(20):
            while not condition(told := await self.show(request)):
                self.box.clock.advance(step_s)
                await asyncio.sleep(0.01)
        return told

    async def after(self, seconds: float) -> None:
        self.box.clock.advance(seconds)
        await asyncio.sleep(A_MOMENT_S)


def holds(pacs: GoodPacs, several: list[Image], box: House) -> None:
    """The PACS has these, and sends them to the box as a sender does."""
    by_uid = {image.uid: image for image in several}

    async def deliver(uid: str, profile: str) -> None:
        await box.send(replace(by_uid[uid], profile=profile, sender="PACS"))

    pacs.instances = [instance_of(image) for image in several]
    pacs.deliver = deliver


MakePulled = Callable[..., Any]


@pytest.fixture
def make_pulled(make_house: MakeHouse) -> MakePulled:
    @asynccontextmanager
    async def make(pacs: GoodPacs, several: list[Image] | None = None, **options: Any) -> AsyncIterator[Pulled]:
        async with make_house(**options) as box:
            wishes = RequestParts(
                box.claims,
                box.judging,
                box.requests,
                box.requesting,
                box.serving,
                None,  # type: ignore[arg-type]
                box.gauging,
                box.notices,
            )
            trail, sealer = box.transitions.trail, Sealer(KEY)
            parts = pacs_parts(
                box.journal, pacs, "PACS", wishes, box.transfers, trail, sealer, box.bell, box.clock,
                tuple(options.get("profiles") or ["SHARE"]), check=False, every_s=0.02,
            )  # fmt: skip
            holds(pacs, several or [], box)
            box.requesting._can_pull = True
            box.start()
            box.tasks["pulling"] = asyncio.create_task(parts.pulling.run())
            yield Pulled(box, pacs, parts)

    return make


THREE = images("A", 3)


async def test_a_study_is_pulled_by_its_accession_number_and_its_slip_comes_out(make_pulled: MakePulled) -> None:
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE) as pulled:
        said = await pulled.pull()
        assert (said["id"], said["state"], said["already"]) == (1, "pending", False)
        told = await pulled.until(lambda one: one["slips"] and one["images"] == 3)
        assert (told["of"], [slip["number"] for slip in told["slips"]]) == (3, ["S-00001"])
        await pulled.until(lambda one: one["state"] == "done")
        await pulled.box.settled()
        assert [(wanted.study_uid, wanted.instances, to) for wanted, to in pulled.pacs.retrieved] == [
            (STUDY, (), "SHARE")
        ]
        assert len(pulled.box.opened().datasets) == 3


async def test_it_goes_to_the_profile_that_was_named_or_to_none(make_pulled: MakePulled) -> None:
    profiles = {"SHARE": terms(), "LATER": terms(when=When.REQUEST)}
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE, profiles=profiles) as pulled:
        with pytest.raises(NotFoundError, match="no profile NONE"):
            await pulled.pull(profile="NONE")
        await pulled.pull(profile="LATER")
        await pulled.until(lambda one: one["slips"])
        assert [to for _, to in pulled.pacs.retrieved] == ["LATER"]


async def test_what_the_pacs_does_not_have_is_said(make_pulled: MakePulled) -> None:
    async with make_pulled(GoodPacs()) as pulled:
        with pytest.raises(NothingFoundError, match="no study with this accession number"):
            await pulled.pull()
        assert await pulled.parts.desk.commands["pull-list"]({}) == []


async def test_of_several_studies_of_a_patient_a_person_says_which(make_pulled: MakePulled) -> None:
    other = Image(study="2")
    pacs = GoodPacs(study_of(Image(), 3), study_of(other, 1, accession="A-2"))
    async with make_pulled(pacs, [*THREE, other]) as pulled:
        patient = f"{PATIENT_ID}-A"
        said = await pulled.pull("patient", patient)
        assert [(one["study"], one["images"], one["patient"]) for one in said["choose"]] == [
            (STUDY, 3, "A.C. 1970"),
            (other.study_uid, 1, "A.C. 1970"),
        ]
        assert "--study" in said["why"]
        assert pulled.pacs.retrieved == []
        await pulled.pull("patient", patient, all=True)
        await pulled.until(lambda one: one["state"] == "done")
        assert len(await pulled.box.shares()) == 1


async def test_all_studies_of_one_order_are_pulled_onto_one_slip(make_pulled: MakePulled) -> None:
    other = Image(study="2")
    async with make_pulled(GoodPacs(study_of(Image(), 3), study_of(other, 1)), [*THREE, other]) as pulled:
        await pulled.pull()
        await pulled.until(lambda one: one["state"] == "done")
        assert {wanted.study_uid for wanted, _ in pulled.pacs.retrieved} == {STUDY, other.study_uid}
        assert len(pulled.box.printer.jobs) == 1


async def test_after_the_visit_the_same_number_is_another_share(make_pulled: MakePulled) -> None:
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE) as pulled:
        await pulled.pull()
        await pulled.until(lambda one: one["state"] == "done")
        await pulled.box.stop("sweeping")
        assert (await pulled.pull())["already"]
        pulled.box.clock.advance(VISIT_S + 1)
        assert not (await pulled.pull())["already"]


async def test_several_patients_with_one_number_are_refused_even_with_all(make_pulled: MakePulled) -> None:
    pacs = GoodPacs(study_of(Image(), 3), study_of(Image(patient="B"), 3))
    async with make_pulled(pacs, THREE) as pulled:
        for options in ({}, {"all": True}):
            said = await pulled.pull(**options)
            assert "several patients" in said["why"]
        assert await pulled.parts.desk.commands["pull-list"]({}) == []


async def test_the_same_number_twice_makes_one_slip(make_pulled: MakePulled) -> None:
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE) as pulled:
        first = await pulled.pull()
        assert (await pulled.pull())["id"] == first["id"]
        await pulled.until(lambda one: one["state"] == "done")
        said = await pulled.pull()
        assert (said["already"], [slip["number"] for slip in said["slips"]]) == (True, ["S-00001"])
        assert "id" not in said
        await pulled.box.settled()
        assert len(pulled.pacs.retrieved) == 1
        assert len(pulled.box.printer.jobs) == 1


async def test_what_is_new_since_joins_the_same_slip(make_pulled: MakePulled) -> None:
    four = images("A", 4)
    async with make_pulled(GoodPacs(study_of(Image(), 3)), four) as pulled:
        await pulled.box.send(*THREE)
        await pulled.box.settled()
        pulled.pacs.studies = [study_of(Image(), 4)]
        assert not (await pulled.pull())["already"]
        await pulled.until(lambda one: one["state"] == "done")
        assert [one.sop_instance_uid for wanted, _ in pulled.pacs.retrieved for one in wanted.instances] == [
            four[3].uid
        ]
        assert len(pulled.box.printer.jobs) == 1


async def test_a_restart_in_the_middle_fetches_the_rest(make_pulled: MakePulled) -> None:
    vault = RememberingVault()
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE, vault=vault) as pulled:
        await pulled.box.stop("pulling", "requesting")
        await pulled.pull()
        await pulled.box.send(THREE[0])
        await pulled.box.settled()
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE, vault=vault) as pulled:
        await pulled.until(lambda one: one["state"] == "done")
        ((wanted, _),) = pulled.pacs.retrieved
        assert {one.sop_instance_uid for one in wanted.instances} == {image.uid for image in THREE[1:]}


async def test_a_pacs_that_is_down_is_asked_again_until_it_is_up(make_pulled: MakePulled) -> None:
    class Down(DownPacs):
        async def find_instances(self, *asked: Any) -> list[FoundInstance]:
            if not self.up:
                raise PacsUnreachableError("nobody takes the connection to PACS")
            return await super().find_instances(*asked)

    pacs = Down(study_of(Image(), 3))
    async with make_pulled(pacs, THREE) as pulled:
        with pytest.raises(PacsUnreachableError):
            await pulled.pull()
        pacs.up = True
        await pulled.box.stop("pulling")
        await pulled.pull()
        pacs.up = False
        pulled.box.tasks["pulling"] = asyncio.create_task(pulled.parts.pulling.run())
        told = await pulled.until(lambda one: one["trouble"])
        assert told["trouble"] == "nobody takes the connection to PACS"
        await pulled.after(600)
        pacs.up = True
        await pulled.until(lambda one: one["state"] == "done", step_s=10)


async def test_a_pacs_that_refuses_is_asked_three_times_and_then_the_request_fails(make_pulled: MakePulled) -> None:
    told_of: list[str] = []
    async with make_pulled(RefusingPacs(study_of(Image(), 3)), THREE) as pulled:
        pulled.parts.pulling.on_trouble = lambda request, error: told_of.append(error.summary)
        await pulled.pull()
        told = await pulled.until(lambda one: one["trouble"])
        assert told["hint"]
        await pulled.until(lambda one: one["state"] == "failure", step_s=5)
        assert len(pulled.pacs.retrieved) == 3
        assert told_of == ["the PACS does not know this box's AE title SHARE (C-MOVE status A801)"]


async def test_images_that_could_not_be_sent_are_asked_for_again_without_the_others(make_pulled: MakePulled) -> None:
    class Halting(GoodPacs):
        async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
            if self.retrieved:
                return await super().retrieve(wanted, profile, progress)
            self.retrieved.append((wanted, profile))
            assert self.deliver is not None
            await self.deliver(THREE[0].uid, profile)
            return Retrieved(1, 2)

    async with make_pulled(Halting(study_of(Image(), 3)), THREE) as pulled:
        await pulled.pull()
        await pulled.until(lambda one: len(pulled.pacs.retrieved) == 2)
        assert len(pulled.pacs.retrieved[1][0].instances) == 2
        told = await pulled.until(lambda one: one["state"] == "done")
        assert told["of"] in (0, 3)


async def test_a_pacs_that_answers_no_question_below_the_study_is_asked_for_all_of_it(make_pulled: MakePulled) -> None:
    class Terse(GoodPacs):
        async def find_instances(self, study_uid: str, sop_instance_uids: Sequence[str] = ()) -> list[FoundInstance]:
            return []

    async with make_pulled(Terse(study_of(Image(), 3)), THREE) as pulled:
        await pulled.pull()
        told = await pulled.until(lambda one: one["state"] == "done")
        assert (told["images"], told["of"]) == (3, 3)


async def test_a_pull_that_is_cancelled_stops(make_pulled: MakePulled) -> None:
    async with make_pulled(SlowPacs(study_of(Image(), 3)), THREE) as pulled:
        pulled.pacs.let.set()
        await pulled.pull()
        pulled.pacs.let.clear()
        await pulled.box.until(lambda: pulled.pacs.retrieved)
        await pulled.box.journal.run(lambda tx: tx.do("set_request_state", id=1, state="cancelled", info="", now=0.0))
        await pulled.after(0.1)
        pulled.pacs.let.set()
        await pulled.after(0.1)
        assert await pulled.box.shares() == []
        assert (await pulled.show())["state"] == "cancelled"


async def test_who_asked_for_what_is_recorded(make_pulled: MakePulled) -> None:
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE) as pulled:
        await pulled.pull()
        await pulled.until(lambda one: one["state"] == "done")
        trail = {event.kind: event for event in await pulled.box.trail()}
    assert (trail[Kind.PACS_QUERIED].by, trail[Kind.PACS_QUERIED].about) == ("ada", "by accession number: 1 study")
    assert (trail[Kind.PULLED].by, trail[Kind.PULLED].studies) == ("ada", (STUDY,))


# -- what others name --------------------------------------------------------------------------------------------------


async def test_instances_that_a_media_creation_request_names_are_looked_for_in_the_study_of_the_others(
    make_pulled: MakePulled,
) -> None:
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE) as pulled:
        await pulled.box.send(THREE[0])
        await asking.create(pulled.box, *THREE)
        await asking.initiate(pulled.box)
        await pulled.box.settled()
        await asking.until_told(pulled.box, "DONE")
        assert pulled.pacs.looked_in == [STUDY]
        ((wanted, profile),) = pulled.pacs.retrieved
        assert ({one.sop_instance_uid for one in wanted.instances}, profile) == ({i.uid for i in THREE[1:]}, "SHARE")


async def test_instances_that_came_to_another_profile_are_fetched_for_the_one_that_asks(
    make_pulled: MakePulled,
) -> None:
    profiles = {"SHARE": terms(), "OTHER": terms()}
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE, profiles=profiles) as pulled:
        await pulled.box.send(*images("A", 3, profile="OTHER"))
        await asking.create(pulled.box, *THREE)
        await asking.initiate(pulled.box)
        await pulled.box.settled()
        await asking.until_told(pulled.box, "DONE")
        assert [profile for _, profile in pulled.pacs.retrieved] == ["SHARE"]


async def test_instances_of_which_nothing_is_known_are_looked_for_everywhere(make_pulled: MakePulled) -> None:
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE) as pulled:
        await asking.create(pulled.box, *THREE)
        await asking.initiate(pulled.box)
        await asking.until_told(pulled.box, "DONE")
        assert pulled.pacs.looked_in == [""]


async def test_what_is_still_being_sent_is_not_pulled(make_pulled: MakePulled) -> None:
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE) as pulled:
        await asking.create(pulled.box, *THREE)
        await asking.initiate(pulled.box)
        for image in THREE:
            await pulled.after(10)
            await pulled.box.send(image)
            await pulled.box.until(lambda: not pulled.box.receiving.behind)
        await asking.until_told(pulled.box, "DONE")
        assert pulled.pacs.retrieved == []


async def test_a_pushed_workitem_for_a_whole_study_pulls_it(make_pulled: MakePulled) -> None:
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE) as pulled:
        await asking.push(pulled.box, study_uid=STUDY)
        await asking.until_step(pulled.box, "COMPLETED")
        assert [wanted.study_uid for wanted, _ in pulled.pacs.retrieved] == [STUDY]


async def test_what_a_notification_names_of_a_shared_study_is_pulled_and_of_another_is_not(
    make_pulled: MakePulled,
) -> None:
    other = images("B", 2)
    async with make_pulled(GoodPacs(study_of(Image(), 3)), [*THREE, *other]) as pulled:
        pulled.box.tasks["completing"] = asyncio.create_task(pulled.parts.completing.run())
        await asking.announce(pulled.box, *other, uid="1.2.826.4711.9.9")
        await pulled.box.send(THREE[0])
        await asking.announce(pulled.box, *THREE)
        await pulled.after(10)
        assert pulled.pacs.retrieved == []
        await pulled.after(6)
        await pulled.box.until_rows(
            "studies", lambda rows: rows and rows[0]["state"] == "complete", share=1, step_s=0.3
        )
        ((wanted, profile),) = pulled.pacs.retrieved
        assert ({one.sop_instance_uid for one in wanted.instances}, profile) == ({i.uid for i in THREE[1:]}, "SHARE")
        assert len(await pulled.box.shares()) == 1


async def test_what_is_announced_is_not_pulled_while_its_association_is_open(make_pulled: MakePulled) -> None:
    async with make_pulled(GoodPacs(), THREE) as pulled:
        pulled.box.tasks["completing"] = asyncio.create_task(pulled.parts.completing.run())
        await pulled.box.send(THREE[0], peer=pulled.box.call())
        await asking.announce(pulled.box, *THREE)
        await pulled.after(20)
        await pulled.after(20)
        assert pulled.pacs.retrieved == []


async def test_what_a_notification_names_and_the_pacs_does_not_send_is_asked_for_three_times(
    make_pulled: MakePulled,
) -> None:
    async with make_pulled(RefusingPacs(), THREE) as pulled:
        pulled.box.tasks["completing"] = asyncio.create_task(pulled.parts.completing.run())
        await pulled.box.stop("sweeping")
        await pulled.box.send(THREE[0])
        await asking.announce(pulled.box, *THREE)
        for _ in range(6):
            await pulled.after(20)
        assert len(pulled.pacs.retrieved) == 3


async def test_a_pull_that_a_slow_archive_breaks_off_goes_on_after_its_slip_is_out(make_pulled: MakePulled) -> None:
    class Breaking(GoodPacs):
        async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
            if self.retrieved:
                return await super().retrieve(wanted, profile, progress)
            self.retrieved.append((wanted, profile))
            assert self.deliver is not None
            await self.deliver(THREE[0].uid, profile)
            raise PacsUnreachableError("the PACS fell silent before C-MOVE was done")

    async with make_pulled(Breaking(study_of(Image(), 3)), THREE) as pulled:
        await pulled.box.stop("pulling")
        request = (await pulled.pull())["id"]
        pulled.box.tasks["pulling"] = asyncio.create_task(pulled.parts.pulling.run())
        await pulled.until(lambda one: one["trouble"])
        await pulled.box.journal.run(
            lambda tx: tx.do("request_tried", id=request, tried=0, not_before=pulled.box.clock.now() + 400)
        )
        await pulled.until(lambda one: one["state"] == "done")
        await pulled.until(lambda one: len(pulled.pacs.retrieved) == 2 and one["images"] == 3, step_s=5)
        await pulled.box.settled()
        assert len(pulled.box.opened().datasets) == 3
        assert len(pulled.box.printer.jobs) == 1


async def test_images_that_are_here_for_another_profile_are_pulled_for_this_one(make_pulled: MakePulled) -> None:
    profiles = {"SHARE": terms(when=When.REQUEST), "OTHER": terms()}
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE, profiles=profiles) as pulled:
        await pulled.box.send(*images("A", 3, profile="OTHER"))
        await asking.create(pulled.box, *THREE)
        await asking.initiate(pulled.box)
        await asking.until_told(pulled.box, "DONE")
        assert [to for _, to in pulled.pacs.retrieved] == ["SHARE"]


async def test_a_pacs_that_cannot_look_everywhere_sends_what_is_in_the_study(make_pulled: MakePulled) -> None:
    class Hierarchical(GoodPacs):
        async def find_instances(self, study_uid: str, sop_instance_uids: Sequence[str] = ()) -> list[FoundInstance]:
            if not study_uid:
                raise PacsRefusedError("the PACS does not do C-FIND as the box asks for it (C-FIND status A900)")
            return await super().find_instances(study_uid, sop_instance_uids)

    async with make_pulled(Hierarchical(study_of(Image(), 3)), THREE[:2]) as pulled:
        await pulled.box.send(THREE[0])
        await asking.create(pulled.box, *THREE)
        await asking.initiate(pulled.box)
        told = await asking.until_told(pulled.box, "FAILURE")
        assert [item.ReferencedSOPInstanceUID for item in told.FailedSOPSequence] == [THREE[2].uid]


@pytest.mark.parametrize("error", [NothingFoundError, PacsRefusedError])
async def test_a_study_that_the_pacs_does_not_send_keeps_none_of_the_others_away(
    make_pulled: MakePulled, error: type[SlipwayError]
) -> None:
    other = Image(study="0")

    class Partial(GoodPacs):
        async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
            if wanted.study_uid == other.study_uid:
                raise error("the PACS does not send it")
            return await super().retrieve(wanted, profile, progress)

    async with make_pulled(Partial(study_of(other, 1), study_of(Image(), 3)), [other, *THREE]) as pulled:
        await pulled.pull()
        told = await pulled.until(lambda one: one["trouble"])
        assert told["trouble"] == "the PACS does not send it"
        await pulled.box.until_rows("instances", lambda rows: len(rows) == 3, share=1, step_s=0.3)


async def test_a_pacs_that_does_not_count_does_not_make_a_part_of_a_study_the_whole(make_pulled: MakePulled) -> None:
    async with make_pulled(GoodPacs(study_of(Image())), THREE) as pulled:
        await pulled.box.send(THREE[0])
        await pulled.box.settled()
        assert not (await pulled.pull())["already"]
        await pulled.until(lambda one: one["state"] == "done" and one["images"] == 3)
        assert (await pulled.pull())["already"]
        assert len(pulled.box.printer.jobs) == 1


async def test_a_pacs_that_sends_elsewhere_is_told_so(make_pulled: MakePulled) -> None:
    class Elsewhere(GoodPacs):
        async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
            progress(Retrieved(3, 0))
            return Retrieved(3, 0)

    async with make_pulled(Elsewhere(study_of(Image(), 3)), THREE) as pulled:
        await pulled.pull()
        told = await pulled.until(lambda one: one["state"] == "failure")
        assert "did not come here" in told["trouble"]
        assert "SHARE" in told["hint"]
