"""The PACS is asked twice how many images a study has, and a slip waits for that so long and no longer."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from appliance.core.completeness import Source
from appliance.daemon.checking import AT_ONCE, GRACE_S, SILENT_S, Checking
from appliance.daemon.judging import Judging, verdicts
from appliance.daemon.pacs_watch import PacsWatch
from appliance.formats.sealed import Sealer
from appliance.ports import FoundStudy
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import KEY, QUIET_S, House, Image, images
from tests.fakes.pacs import DownPacs, GoodPacs, SlowPacs

AGAIN_S = 30.0
STUDY = Image().study_uid
LOOKS = 4  # of everybody, after which all has been seen


def has(count: int | None, study_uid: str = STUDY) -> FoundStudy:
    return FoundStudy(study_uid, instances=count)


class NoStudyUid(Image):
    @property
    def dataset(self) -> bytes:
        return super().dataset.replace(uid_element(self.study_uid), uid_element(""))


def uid_element(uid: str) -> bytes:
    """Study Instance UID (0020,000D), explicit little endian."""
    value = uid.encode() + b"\0" * (len(uid) % 2)
    return struct.pack("<HH2sH", 0x20, 0xD, b"UI", len(value)) + value


class CountingJournal:
    def __init__(self, journal: Any) -> None:
        self._journal = journal
        self.runs = 0

    async def run(self, work: Callable[[Any], Any]) -> Any:
        result = await self._journal.run(work)
        self.runs += 1
        return result


class Checked:
    """A box that asks a PACS, and a clock that only the test moves."""

    def __init__(self, box: House, pacs: Any) -> None:
        self.box, self.pacs = box, pacs
        self.watch = PacsWatch(pacs, box.clock.monotonic)
        self.journal, box.sweeping._journal = CountingJournal(box.journal), CountingJournal(box.journal)
        self.sweeps = box.sweeping._journal
        judging = Judging(box.claims, box.transitions)
        self.checking = Checking(
            self.journal,
            self.watch,
            box.claims,
            judging,
            box.transfers,
            Sealer(KEY),
            box.bell,
            box.clock.monotonic,
            again_s=AGAIN_S,
            every_s=0.01,
        )
        box.sweeping._is_pending = self.checking.is_pending

    async def after(self, seconds: float) -> None:
        """That much later, when everybody has looked again."""
        self.box.clock.advance(seconds)
        looks = [self.journal] + [self.sweeps] * ("sweeping" in self.box.tasks)
        before = [one.runs for one in looks]
        await self.box.until(lambda: all(one.runs >= runs + LOOKS for one, runs in zip(looks, before, strict=True)))

    async def study(self) -> tuple[str, str]:
        (row,) = await self.box.rows("studies", share=1)
        return row["state"], row["source"]

    def pending(self) -> bool:
        return self.checking.is_pending(self.box.claims.study_key(STUDY))


MakeChecked = Callable[[Any], Any]


@pytest.fixture
def make_checked(make_house: MakeHouse) -> MakeChecked:
    @asynccontextmanager
    async def make(pacs: Any) -> AsyncIterator[Checked]:
        async with make_house() as box:
            box.start()
            checked = Checked(box, pacs)
            box.tasks["checking"] = asyncio.create_task(checked.checking.run())
            yield checked

    return make


async def sent(checked: Checked, *several: Image) -> None:
    await checked.box.send(*several)
    await checked.box.until(lambda: not checked.box.receiving.behind)
    await checked.after(0)


async def test_two_answers_that_agree_complete_a_study_and_one_does_not(make_checked: MakeChecked) -> None:
    async with make_checked(GoodPacs(has(3))) as checked:
        await sent(checked, *images("A", 3))
        await checked.after(SILENT_S)
        assert (len(checked.pacs.questions), await checked.study()) == (1, ("arriving", ""))
        await checked.after(AGAIN_S)
        assert await checked.study() == ("complete", "3 of 3 images, checked with the PACS")
        await checked.after(AGAIN_S * 3)
        assert len(checked.pacs.questions) == 2


async def test_nothing_is_asked_while_images_come_or_their_association_is_open(make_checked: MakeChecked) -> None:
    async with make_checked(GoodPacs(has(3))) as checked:
        peer = checked.box.call()
        await checked.box.send(Image(), peer=peer)
        await checked.box.until(lambda: not checked.box.receiving.behind)
        await checked.after(0)
        await checked.after(SILENT_S * 5)
        assert checked.pacs.questions == []
        checked.box.receiving.closed(peer)
        await checked.after(SILENT_S)
        assert len(checked.pacs.questions) == 1


async def test_a_number_that_changes_is_asked_for_until_it_stands(make_checked: MakeChecked) -> None:
    """The archive is still taking the study in."""
    async with make_checked(GoodPacs(has(1))) as checked:
        await sent(checked, *images("A", 3))
        await checked.after(SILENT_S)
        checked.pacs.studies = [has(3)]
        await checked.after(AGAIN_S)
        assert await checked.study() == ("arriving", "")
        await checked.after(AGAIN_S - 1)
        assert len(checked.pacs.questions) == 2


async def test_an_image_that_arrives_in_between_begins_the_question_anew(make_checked: MakeChecked) -> None:
    async with make_checked(GoodPacs(has(3))) as checked:
        await sent(checked, *images("A", 2))
        await checked.after(SILENT_S)
        await checked.after(AGAIN_S / 2)
        await sent(checked, Image(number=3))
        await checked.after(SILENT_S)
        assert (await checked.study(), len(checked.pacs.questions)) == (("arriving", ""), 2)
        await checked.after(AGAIN_S)
        assert await checked.study() == ("complete", "3 of 3 images, checked with the PACS")


async def test_an_answer_about_a_study_that_grew_meanwhile_counts_for_nothing(make_checked: MakeChecked) -> None:
    async with make_checked(SlowPacs(has(2))) as checked:
        await sent(checked, Image())
        await checked.after(SILENT_S)
        await sent(checked, Image(number=2))
        checked.pacs.let.set()
        await checked.after(0)
        assert await checked.box.rows("claims_of_study", study=1, study_key=checked.box.claims.study_key(STUDY)) == []


async def test_what_is_missing_is_said_by_the_pacss_word(make_checked: MakeChecked) -> None:
    async with make_checked(GoodPacs(has(5))) as checked:
        await sent(checked, *images("A", 3))
        await checked.after(SILENT_S)
        await checked.after(AGAIN_S)
        assert await checked.study() == ("quiet", "3 of 5 images, checked with the PACS; 2 missing")


async def test_late_images_take_the_pacss_word_back_and_it_is_asked_again(make_checked: MakeChecked) -> None:
    async with make_checked(GoodPacs(has(2))) as checked:
        await sent(checked, *images("A", 2))
        await checked.after(SILENT_S)
        await checked.after(AGAIN_S)
        assert (await checked.study())[0] == "complete"
        checked.pacs.studies = [has(3)]
        await sent(checked, Image(number=3))
        assert await checked.study() == ("arriving", "")
        await checked.after(SILENT_S)
        await checked.after(AGAIN_S)
        assert await checked.study() == ("complete", "3 of 3 images, checked with the PACS")


async def test_silence_waits_for_the_second_answer_and_no_longer(make_checked: MakeChecked) -> None:
    async with make_checked(SlowPacs(has(3))) as checked:
        await sent(checked, Image())
        await checked.after(QUIET_S + 1)
        assert checked.pending()
        assert (await checked.study())[0] == "arriving"
        await checked.after(AGAIN_S + GRACE_S - QUIET_S)
        assert not checked.pending()
        assert await checked.study() == ("quiet", "no more images for 30 s; not checked")


async def test_a_pacs_that_is_down_holds_up_nobody_and_is_said_once(
    make_checked: MakeChecked, caplog: pytest.LogCaptureFixture
) -> None:
    async with make_checked(DownPacs(has(1))) as checked:
        await sent(checked, Image())
        await checked.after(SILENT_S)
        assert not checked.pending()
        await checked.after(QUIET_S)
        assert (await checked.study())[0] == "quiet"
        assert checked.watch.trouble == "nobody takes the connection to PACS at 10.20.0.9:104"
        asked = len(checked.pacs.questions)
        await sent(checked, Image(patient="B"))
        for _ in range(5):
            await checked.after(SILENT_S)
        assert len(checked.pacs.questions) - asked <= 1
        checked.pacs.up = True
        await sent(checked, Image(patient="C"))
        await checked.after(400)
        assert checked.watch.trouble == ""
    said = [record.getMessage() for record in caplog.records if record.name == "slipway.pacs"]
    assert [("nobody takes" in line, "again" in line) for line in said] == [(True, False), (False, True)]


async def test_a_trouble_of_which_nothing_was_heard_for_an_hour_is_told_no_more(make_checked: MakeChecked) -> None:
    async with make_checked(DownPacs(has(1))) as checked:
        await sent(checked, Image())
        await checked.after(SILENT_S)
        await checked.after(QUIET_S)
        assert checked.watch.trouble
        await checked.after(3600)
        assert checked.watch.trouble == ""


async def test_a_study_without_a_uid_is_not_asked_about_nor_waited_for(make_checked: MakeChecked) -> None:
    async with make_checked(GoodPacs(has(1))) as checked:
        await sent(checked, NoStudyUid())
        await checked.after(SILENT_S)
        assert checked.pacs.questions == []
        await checked.after(QUIET_S)
        assert (await checked.study())[0] == "quiet"


@pytest.mark.parametrize("answer", [(), (has(None),), (has(1), has(1))])
async def test_a_pacs_that_does_not_say_leaves_it_to_silence(answer: tuple[FoundStudy, ...], make_checked: Any) -> None:
    async with make_checked(GoodPacs(*answer)) as checked:
        await sent(checked, Image())
        await checked.after(SILENT_S)
        await checked.after(AGAIN_S)
        await checked.after(GRACE_S)
        assert (await checked.study())[0] == "quiet"


async def test_a_pacs_that_has_fewer_images_than_the_box_does_not_check_it(make_checked: MakeChecked) -> None:
    async with make_checked(GoodPacs(has(1))) as checked:
        await sent(checked, *images("A", 2))
        await checked.after(SILENT_S)
        await checked.after(AGAIN_S)
        await checked.after(GRACE_S)
        (row,) = await checked.box.rows("studies", share=1)
        assert (row["state"], verdicts([row])[0].source) == ("quiet", Source.QUIET)


async def test_a_pacs_that_has_fewer_images_is_asked_on_while_the_study_is_not_quiet(make_checked: MakeChecked) -> None:
    async with make_checked(GoodPacs(has(1))) as checked:
        await checked.box.stop("sweeping")
        await sent(checked, *images("A", 2))
        await checked.after(SILENT_S)
        await checked.after(AGAIN_S)
        checked.pacs.studies = [has(2)]
        await checked.after(AGAIN_S)
        await checked.after(AGAIN_S)
        assert await checked.study() == ("complete", "2 of 2 images, checked with the PACS")


async def test_few_questions_are_under_way_at_a_time(make_checked: MakeChecked) -> None:
    async with make_checked(SlowPacs()) as checked:
        await sent(checked, *(Image(study=str(number)) for number in range(1, AT_ONCE + 4)))
        await checked.after(SILENT_S)
        await checked.after(1)
        assert len(checked.pacs.questions) == AT_ONCE
        checked.pacs.let.set()
        await checked.after(1)
        await checked.after(1)
        assert len(checked.pacs.questions) == AT_ONCE + 3


async def test_after_a_restart_it_is_asked_anew(make_house: MakeHouse) -> None:
    async with make_house() as box:
        box.start("receiving")
        await box.send(*images("A", 2))
        await box.until(lambda: not box.receiving.behind)
        key = box.claims.study_key(STUDY)
        await box.journal.run(lambda tx: box.claims.count(tx, key, 2, ended=True))
    async with make_house() as box:
        checked = Checked(box, GoodPacs(has(2)))
        box.tasks["checking"] = asyncio.create_task(checked.checking.run())
        await checked.after(0)
        (claim,) = await box.rows("claims_of_study", study=1, study_key=key)
        assert claim["ended"] == 0
