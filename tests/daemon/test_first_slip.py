"""From the first image to a slip that opens: the daemon's workers together."""

from __future__ import annotations

from tests.daemon.conftest import MakeHouse
from tests.daemon.house import BIRTH_DATE, House, Image, images, uids


async def test_one_image_makes_one_slip_that_opens_to_that_image(box: House) -> None:
    image = Image()
    await box.send(image)
    await box.settled()
    assert box.opened().datasets == {image.uid: image.dataset}
    assert len(box.printer.jobs) == 1


async def test_the_slip_is_out_while_the_study_still_arrives(make_house: MakeHouse) -> None:
    async with make_house() as box:
        box.start()
        first, *rest = images("A", 5)
        await box.send(first)
        await box.until(lambda: box.printer.jobs)
        await box.send(*rest)
        await box.settled()
        assert len(box.printer.jobs) == 1
        opened = box.opened()
        assert set(opened.datasets) == uids([first, *rest])
        assert opened.manifest.state == "arriving"
        assert opened.manifest.received == 5


async def test_the_manifest_tells_who_and_what(box: House) -> None:
    await box.send(*images("A", 3, series=2), *images("A", 2, series=1))
    await box.settled()
    manifest = box.opened().manifest
    assert manifest.patient.birth_date == BIRTH_DATE
    assert manifest.site == "St Mary's"
    (study,) = manifest.studies
    assert [series.number for series in study.series] == [1, 2]
    assert [instance.number for instance in study.series[1].instances] == [1, 2, 3]


async def test_nothing_that_leaves_the_box_or_lies_on_its_disk_shows_the_patient(box: House) -> None:
    await box.send(*images("A", 3))
    await box.settled()
    raw = b"".join(path.read_bytes() for path in sorted(box.folder.rglob("*")) if path.is_file())
    raw += b"".join(box.vault.everything())
    for canary in (b"CANARYSON", b"CANARY-4711", BIRTH_DATE.encode(), b"1.2.826.4711"):
        assert canary not in raw
    token = next(iter(box.secrets))
    assert token.encode() not in raw
    assert len(raw) > 1000


async def test_a_resent_study_makes_no_second_slip_and_no_second_copy(box: House) -> None:
    several = images("A", 4)
    await box.send(*several)
    await box.settled()
    await box.send(*several, *several)
    await box.settled()
    assert len(box.printer.jobs) == 1
    assert box.opened().manifest.received == 4
    assert len(box.opened().datasets) == 4


async def test_a_large_instance_spans_objects_and_comes_out_whole(box: House) -> None:
    large = Image(number=1, pixels=bytes(range(256)) * (90 << 10))  # 22.5 MiB
    small = Image(number=2)
    await box.send(large, small)
    await box.settled()
    (share,) = box.vault.shares.values()
    assert len(share.objects) >= 3
    assert max(map(len, share.objects.values())) <= 8 << 20
    assert box.opened().datasets == {large.uid: large.dataset, small.uid: small.dataset}
