"""What the sources claim of a study, and what the box makes of it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from appliance.core.completeness import Source
from appliance.daemon import judging
from appliance.daemon.judging import Judging, Named, verdicts
from appliance.daemon.minting import When
from appliance.ports import Row
from tests.daemon.asking import create, initiate
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import QUIET_S, House, Image, images, terms

LISTS = (Source.NOTIFICATION, Source.PERFORMED_STEP, Source.MEDIA_CREATION)


async def claim(
    box: House, source: Source, several: Iterable[Image], uid: str = "1.2.3", *, study: str | None = None, ended=True
) -> None:
    named = [Named("1.2.840.10008.5.1.4.1.1.2", image.uid) for image in several]
    study_uid = "" if source is Source.MEDIA_CREATION else Image().study_uid
    judge = Judging(box.claims, box.transitions)

    def work(tx):
        box.claims.name(tx, source, uid, study_uid if study is None else study, named, ended=ended)
        judge.heard(tx, box.claims.study_key(Image().study_uid))

    await box.journal.run(work)


async def count(box: House, expected: int, *, ended: bool = True) -> None:
    key = box.claims.study_key(Image().study_uid)
    await box.journal.run(lambda tx: box.claims.count(tx, key, expected, ended=ended))


async def study_is(box: House, state: str) -> Row:
    rows = await box.until_rows("studies", lambda rows: rows and rows[0]["state"] == state, share=1)
    return rows[0]


async def swept(box: House) -> str:
    for _ in range(3):
        await box.journal.run(box.sweeping._sweep)
    return str((await box.rows("studies", share=1))[0]["state"])


@pytest.mark.parametrize("source", LISTS)
async def test_what_two_lists_of_a_source_name_is_counted_once(box: House, source: Source) -> None:
    three = images("A", 3)
    await claim(box, source, three[:2], "1.2.3")
    await claim(box, source, three, "1.2.4")
    await box.send(*three[:2])
    await box.settled()
    (study,) = await box.rows("studies", share=1)
    (said,) = await box.journal.run(lambda tx: box.claims.of_study(tx, study))
    assert (said.expected, said.missing) == (3, 1)
    await box.send(three[2])
    await box.settled()
    box.clock.advance(2)
    assert (await study_is(box, "complete"))["source"].startswith("3 of 3 images")


async def test_a_request_that_nobody_has_initiated_silences_no_other(box: House) -> None:
    """Else a worse source would call complete what the initiated one knows to be not."""
    three = images("A", 3)
    await claim(box, Source.NOTIFICATION, three[:2], "1.2.3")
    await claim(box, Source.MEDIA_CREATION, three, "1.2.4")
    await claim(box, Source.MEDIA_CREATION, three[:1], "1.2.5", ended=False)
    await box.send(*three[:2])
    await box.settled()
    box.clock.advance(2)
    assert await swept(box) == "arriving"
    await box.send(three[2])
    await box.settled()
    box.clock.advance(2)
    assert (await study_is(box, "complete"))["source"] == "3 of 3 images, as they were asked for"


@pytest.mark.parametrize("source", LISTS)
async def test_a_list_is_fulfilled_by_its_last_image_and_not_before(box: House, source: Source) -> None:
    three = images("A", 3)
    await claim(box, source, three)
    await box.send(*three[:2])
    await box.settled()
    box.clock.advance(2)
    assert await swept(box) == "arriving"
    await box.send(three[2])
    await box.settled()
    box.clock.advance(2)
    study = await study_is(box, "complete")
    assert verdicts([study])[0].source is source
    assert study["source"].startswith("3 of 3 images, as ")


@pytest.mark.parametrize("source", LISTS)
async def test_a_list_that_comes_when_the_study_is_quiet_already_still_counts(box: House, source: Source) -> None:
    await box.send(*images("A", 2))
    await box.settled()
    box.clock.advance(QUIET_S + 1)
    await study_is(box, "quiet")
    await claim(box, source, images("A", 2))
    assert (await study_is(box, "complete"))["source"].startswith("2 of 2 images")


async def test_what_is_missing_is_said_when_it_is_quiet(box: House) -> None:
    await claim(box, Source.NOTIFICATION, images("A", 5))
    await box.send(*images("A", 3))
    await box.settled()
    box.clock.advance(QUIET_S + 1)
    assert (await study_is(box, "quiet"))["source"] == "3 of 5 images, as the PACS announced them; 2 missing"


async def test_a_better_source_that_misses_images_takes_the_verdict_back(box: House) -> None:
    await box.send(*images("A", 3))
    await count(box, 3)
    await box.settled()
    box.clock.advance(2)
    assert (await study_is(box, "complete"))["source"] == "3 of 3 images, checked with the PACS"
    await claim(box, Source.NOTIFICATION, images("A", 4))
    await study_is(box, "arriving")
    box.clock.advance(QUIET_S)
    assert (await study_is(box, "quiet"))["source"] == "3 of 4 images, as the PACS announced them; 1 missing"


async def test_a_step_in_progress_says_nothing_yet(box: House) -> None:
    await claim(box, Source.PERFORMED_STEP, images("A", 2), ended=False)
    await box.send(*images("A", 2))
    await box.settled()
    box.clock.advance(2)
    assert await swept(box) == "arriving"
    box.clock.advance(QUIET_S)
    assert "not checked" in (await study_is(box, "quiet"))["source"]


async def test_two_steps_of_one_study_are_one_list(box: House) -> None:
    four = images("A", 4)
    await claim(box, Source.PERFORMED_STEP, four[:2], "1.2.1")
    await claim(box, Source.PERFORMED_STEP, four[2:], "1.2.2")
    await box.send(*four[:3])
    await box.settled()
    box.clock.advance(2)
    assert await swept(box) == "arriving"
    await box.send(four[3])
    await box.settled()
    box.clock.advance(2)
    assert (await study_is(box, "complete"))["source"] == "4 of 4 images, as the modality reported them"


async def test_a_number_is_only_met_exactly_and_when_it_was_given_twice(box: House) -> None:
    await count(box, 2, ended=False)
    await box.send(*images("A", 2))
    await box.settled()
    box.clock.advance(2)
    assert await swept(box) == "arriving"
    await count(box, 3)
    assert await swept(box) == "arriving"
    await count(box, 2)
    await study_is(box, "complete")


async def test_a_pacs_that_knows_of_fewer_images_than_are_here_proves_nothing(box: House) -> None:
    await count(box, 2)
    await box.send(*images("A", 3))
    await box.settled()
    box.clock.advance(QUIET_S + 1)
    assert "not checked" in (await study_is(box, "quiet"))["source"]


async def test_the_same_image_sent_twice_counts_once(box: House) -> None:
    await claim(box, Source.NOTIFICATION, images("A", 2))
    await box.send(Image(number=1), Image(number=1))
    await box.settled()
    box.clock.advance(QUIET_S + 1)
    assert "1 of 2" in (await study_is(box, "quiet"))["source"]


async def test_late_images_take_the_verdict_back_and_are_judged_anew(box: House) -> None:
    await claim(box, Source.NOTIFICATION, images("A", 2))
    await box.send(*images("A", 2))
    await box.settled()
    box.clock.advance(2)
    await study_is(box, "complete")
    await box.send(Image(number=3))
    study = await study_is(box, "arriving")
    assert not verdicts([study])
    box.clock.advance(2)
    await study_is(box, "complete")


async def test_a_profile_that_prints_when_complete_prints_by_the_sources_word(make_house: MakeHouse) -> None:
    async with make_house(profiles={"SHARE": terms(when=When.COMPLETE)}) as box:
        box.start()
        await claim(box, Source.MEDIA_CREATION, images("A", 2))
        await box.send(*images("A", 2))
        await box.until(lambda: not box.receiving.behind)
        assert not box.printer.jobs
        box.clock.advance(2)
        await box.until(lambda: box.printer.jobs)


async def test_a_request_for_images_of_another_study_does_not_concern_this_one(box: House) -> None:
    await claim(box, Source.MEDIA_CREATION, images("B", 2))
    await box.send(*images("A", 2))
    await box.settled()
    box.clock.advance(QUIET_S + 1)
    assert "not checked" in (await study_is(box, "quiet"))["source"]


async def test_an_image_of_the_study_that_is_in_another_share_is_missing_in_this_one(make_house: MakeHouse) -> None:
    async with make_house(profiles={"SHARE": terms(), "OTHER": terms()}) as box:
        box.start()
        await box.send(Image(number=2, profile="OTHER"))
        await box.settled()
        await box.send(Image(number=1))
        await create(box, *images("A", 2))
        await initiate(box)
        rows = await box.until_rows("studies", lambda rows: rows and rows[0]["verdict"], share=2, step_s=1.0)
        assert rows[0]["source"] == "1 of 2 images, as they were asked for; 1 missing"


async def test_a_withdrawn_claim_is_none(box: House) -> None:
    await claim(box, Source.NOTIFICATION, images("A", 5))
    await box.journal.run(lambda tx: box.claims.withdraw(tx, Source.NOTIFICATION, "1.2.3"))
    await box.send(*images("A", 3))
    await box.settled()
    box.clock.advance(QUIET_S + 1)
    assert "not checked" in (await study_is(box, "quiet"))["source"]


async def test_announcements_of_studies_that_never_come_are_bounded_and_those_of_studies_here_are_kept(
    box: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "MOST_NAMED", 5)
    await claim(box, Source.NOTIFICATION, images("A", 3), "1.2.1")
    await box.send(*images("A", 3))
    for number in range(4):
        await claim(box, Source.NOTIFICATION, images("B", 2), f"1.2.9.{number}", study=f"1.2.8.{number}")
    await box.until(lambda: not box.receiving.behind)
    await box.journal.run(box.claims.forget_old)
    kept = [number for number in range(4) if await ended(box, f"1.2.9.{number}")]
    assert kept == [2, 3]
    assert await ended(box, "1.2.1")


async def ended(box: House, uid: str) -> bool | None:
    return await box.journal.run(lambda tx: box.claims.has_ended(tx, Source.NOTIFICATION, uid))
