"""What archives and modalities announce of a study, and what becomes of it."""

from __future__ import annotations

import pytest

from tests.daemon.asking import STEP, announce, begin_step, change_step
from tests.daemon.house import QUIET_S, House, Image, images

STUDY = Image().study_uid


async def verdict(box: House, state: str) -> str:
    rows = await box.until_rows("studies", lambda rows: rows and rows[0]["state"] == state, share=1, step_s=0.5)
    return str(rows[0]["source"])


async def test_a_notification_says_how_many_images_there_are(box: House) -> None:
    assert (await announce(box, *images("A", 2))).status == 0
    await box.send(*images("A", 2))
    assert await verdict(box, "complete") == "2 of 2 images, as the PACS announced them"


async def test_what_cannot_be_had_is_not_waited_for(box: House) -> None:
    await announce(box, *images("A", 3), gone=images("A", 3)[2:])
    await box.send(*images("A", 2))
    assert "2 of 2" in await verdict(box, "complete")


async def test_what_was_announced_and_is_withdrawn_later_is_not_waited_for(box: House) -> None:
    await announce(box, *images("A", 3))
    await announce(box, images("A", 3)[2], uid="1.2.826.4711.9.8", gone=images("A", 3)[2:])
    await box.send(*images("A", 2))
    assert "2 of 2" in await verdict(box, "complete")


async def test_a_notification_of_a_study_that_never_comes_shares_nothing(box: House) -> None:
    await announce(box, *images("A", 2))
    await box.settled()
    assert not await box.shares()


async def test_the_last_of_two_notifications_with_one_uid_counts(box: House) -> None:
    await announce(box, *images("A", 3))
    await announce(box, *images("A", 2))
    await box.send(*images("A", 2))
    assert "2 of 2" in await verdict(box, "complete")


async def test_a_completed_step_says_how_many_images_were_made(box: House) -> None:
    assert (await begin_step(box, STUDY)).status == 0
    await box.send(*images("A", 2))
    assert (await change_step(box, "COMPLETED", images("A", 2))).status == 0
    assert await verdict(box, "complete") == "2 of 2 images, as the modality reported them"


async def test_the_series_of_an_earlier_change_hold_when_the_end_does_not_list_them(box: House) -> None:
    await begin_step(box, STUDY)
    await change_step(box, "IN PROGRESS", images("A", 3))
    await change_step(box, "COMPLETED")
    await box.send(*images("A", 2))
    await box.settled()
    box.clock.advance(QUIET_S)
    assert "2 of 3 images" in await verdict(box, "quiet")


async def test_a_discontinued_step_says_nothing(box: House) -> None:
    await begin_step(box, STUDY)
    await change_step(box, "IN PROGRESS", images("A", 9))
    assert (await change_step(box, "DISCONTINUED")).status == 0
    await box.send(*images("A", 2))
    await box.settled()
    box.clock.advance(QUIET_S)
    assert "not checked" in await verdict(box, "quiet")


async def test_a_step_of_two_studies_concerns_those_whose_images_it_lists(box: House) -> None:
    other = Image(study="2")
    await begin_step(box, STUDY, other.study_uid)
    await box.send(*images("A", 2), other)
    await change_step(box, "COMPLETED", [*images("A", 2), other])
    rows = await box.until_rows(
        "studies", lambda rows: len(rows) == 2 and all(row["state"] == "complete" for row in rows), share=1, step_s=0.5
    )
    assert [row["source"][:6] for row in rows] == ["2 of 2", "1 of 1"]


async def test_an_image_that_steps_of_one_study_and_of_two_list_is_counted_once(box: House) -> None:
    await box.send(*images("A", 3))
    for uid, studies in ((STEP, (STUDY,)), (f"{STEP}.2", (STUDY, Image(study="2").study_uid))):
        await begin_step(box, *studies, uid=uid)
        await change_step(box, "COMPLETED", images("A", 2), uid=uid)
    assert await verdict(box, "complete") == "2 of 2 images, as the modality reported them; 1 more"


@pytest.mark.parametrize("status", ["COMPLETED", "IN PROGRESS", "DISCONTINUED"])
async def test_a_step_that_nobody_began_cannot_be_changed(box: House, status: str) -> None:
    assert (await change_step(box, status, images("A", 1))).status == 0x0112


async def test_a_step_that_has_ended_is_changed_no_more(box: House) -> None:
    await begin_step(box, STUDY)
    await change_step(box, "COMPLETED", images("A", 1))
    assert (await change_step(box, "COMPLETED", images("A", 2))).status == 0x0110


async def test_a_step_is_begun_once(box: House) -> None:
    await begin_step(box, STUDY)
    assert (await begin_step(box, STUDY, uid=STEP)).status == 0x0111
