"""What the patient's page is told of a share: whether all is here, by whose word, and when the newest image came."""

from __future__ import annotations

import pytest

from appliance.core.completeness import Source
from appliance.formats.manifest import Manifest, Verdict
from tests.daemon.house import QUIET_S, House, Image, images


async def claimed(box: House, study: Image, expected: int) -> None:
    """The PACS has counted a study twice."""
    key = box.claims.study_key(study.study_uid)
    await box.journal.run(lambda tx: box.claims.count(tx, key, expected, ended=True))


async def told(box: House, state: str) -> Manifest:
    """The manifest when all studies have come to `state`."""
    await box.until_rows("studies", lambda rows: {row["state"] for row in rows} == {state}, step_s=0.3, share=1)
    await box.settled()
    manifest: Manifest = box.opened().manifest
    return manifest


async def test_a_verdict_goes_into_the_manifest_with_its_sentence(box: House) -> None:
    await claimed(box, Image(), 3)
    await box.send(*images("A", 3))
    manifest = await told(box, "complete")
    assert manifest.verdict == Verdict(Source.QUERY, received=3, expected=3, missing=0)
    assert manifest.source == "3 of 3 images, checked with the PACS"


async def test_missing_images_are_counted_in_the_manifest(box: House) -> None:
    await claimed(box, Image(), 5)
    await box.send(*images("A", 3))
    await box.settled()
    box.clock.advance(QUIET_S + 1)
    manifest = await told(box, "quiet")
    assert manifest.verdict == Verdict(Source.QUERY, received=3, expected=5, missing=2)


async def test_of_two_studies_one_that_nobody_has_checked_is_what_is_told(box: House) -> None:
    await claimed(box, Image(), 2)
    await box.send(*images("A", 2), *images("A", 4, study="2"))
    await box.settled()
    box.clock.advance(QUIET_S + 1)
    await box.until_rows("arriving_studies", lambda rows: not rows)
    await box.settled()
    assert box.opened().manifest.verdict == Verdict(Source.QUIET, received=6, expected=0, missing=0)


@pytest.mark.parametrize("study", ["1", "2"])
async def test_a_late_image_takes_the_verdict_out_of_the_manifest(box: House, study: str) -> None:
    await box.send(Image())
    await box.settled()
    box.clock.advance(QUIET_S + 1)
    assert (await told(box, "quiet")).verdict is not None
    await box.send(Image(study=study, number=2))
    await box.settled()
    assert (box.opened().manifest.verdict, box.opened().manifest.source) == (None, "")


async def test_a_study_says_when_its_newest_image_came(box: House) -> None:
    await box.send(Image(study="1"), Image(study="2"))
    await box.settled()
    first = box.opened().manifest.studies[0].added
    box.clock.advance(600)
    late = int(box.clock.now())
    await box.send(Image(study="2", number=2))
    await box.settled()
    assert first <= late - 600
    assert [one.added >= late for one in box.opened().manifest.studies] == [False, True]


async def test_a_verdict_that_came_while_a_manifest_was_under_way_is_owed_another(box: House) -> None:
    await box.send(Image())
    await box.settled()
    await box.stop("relaying")
    manifesting = box.relaying._manifesting
    await box.journal.run(lambda tx: tx.do("share_dirty", id=1))
    box.clock.advance(QUIET_S + 1)
    await box.until_rows("studies", lambda rows: rows[0]["state"] == "quiet", share=1)
    await claimed(box, Image(), 4)
    await box.journal.run(lambda tx: box.judging.heard(tx, box.claims.study_key(Image().study_uid)))
    under_way = await manifesting.next(1)
    assert under_way is not None
    await claimed(box, Image(), 5)
    await box.journal.run(lambda tx: box.judging.heard(tx, box.claims.study_key(Image().study_uid)))
    await manifesting.published(under_way)
    assert (await box.rows("share", id=1))[0]["dirty"]
