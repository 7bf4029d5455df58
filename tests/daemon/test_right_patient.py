"""Each way in which images may come under a wrong name has a named outcome; and never do two patients mix."""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from tests.daemon.conftest import MakeHouse
from tests.daemon.house import VISIT_S, House, Image
from tests.daemon.scans import Scan, at_vault, doubts, opened_datasets, placed, rules, uids

NAME = "CANARYSON^ADALBERTA"
STUDY = Scan(name=NAME).study_uid
OPEN = ("open", "")


def scan(**changes: Any) -> Scan:
    return Scan(**{"name": NAME} | changes)


# -- one patient -------------------------------------------------------------------------------------------------------


async def test_a_study_that_is_sent_again_is_the_same_and_prints_nothing(box: House) -> None:
    for _ in range(3):
        await box.send(*[scan(number=number) for number in (1, 2, 3)])
    await box.settled()
    assert await doubts(box) == [OPEN]
    assert (await box.shares())[0]["instances"] == 3
    assert len(box.printer.jobs) == 1


async def test_a_name_in_another_case_and_character_set_is_the_same_name(box: House) -> None:
    name = "Yamada^Tarou=山田^太郎"
    await box.send(
        scan(name=name, character_set="\\ISO 2022 IR 87"),
        scan(name=name.upper() + "=やまだ^たろう", character_set="ISO_IR 192", study="2"),
        scan(name="YAMADA^TAROU^^", study="3"),
    )
    assert await doubts(box) == [OPEN]
    await box.settled()
    assert at_vault(box, (await box.shares())[0]).patient.name == "Yamada^Tarou=山田^太郎=やまだ^たろう"


async def test_two_studies_that_were_merged_into_one_patient_are_one_share(box: House) -> None:
    """The PACS sends the second one again, under the first one's ID."""
    await box.send(scan(), scan(patient="B", name="ANOTHER^NAME", study="2", number=7))
    merged = scan(patient="B", study="2", number=7, patient_id="CANARY-4711-A")
    await box.send(merged)
    assert await doubts(box) == [OPEN, OPEN, ("held", "study-of-another-patient")]


# -- doubts ------------------------------------------------------------------------------------------------------------

BETWEEN_STUDIES = {
    "same-id-other-name": scan(study="2", name="CANARYSON^ADALBERT"),
    "same-id-other-birth-date": scan(study="2", birth_date="19700113"),
    "same-id-other-sex": scan(study="2", sex="M"),
    "issuer-missing": scan(study="2", issuer="HOSP"),
    "similar-id": scan(study="2", patient_id="CANARY-4171-A"),
}
WITHIN_A_STUDY = {
    "id-changed-in-study": scan(number=2, patient_id="99-88-77"),
    "study-of-another-patient": scan(patient="B", number=2, name="ANOTHER^NAME", of_study=STUDY),
    "no-patient-id": scan(number=2, patient_id="none"),
    "same-id-other-name": scan(number=2, name="CANARYSON^ADALBERT"),
    "same-uid-other-bytes": scan(pixels=b"\x09\x09" * 50),
}
CASES = [(doubt, image) for images in (BETWEEN_STUDIES, WITHIN_A_STUDY) for doubt, image in images.items()]


@pytest.mark.parametrize(("doubt", "image"), CASES, ids=[f"{doubt}-{n}" for n, (doubt, _) in enumerate(CASES)])
async def test_a_doubt_has_a_name_and_a_rival_and_nothing_of_it_leaves(box: House, doubt: str, image: Scan) -> None:
    await box.send(scan())
    await box.send(image, image)
    first, second = await placed(box)
    assert (second["state"], second["doubt"], second["rival"]) == ("held", doubt, first["id"])
    await box.settled()
    assert second["share_id"] not in box.vault.shares
    assert len(box.printer.jobs) == 1
    (listed,) = await box.operating.command("shares-list", {"held": True})
    assert (listed["waits_for"], listed["patient"][-4:]) == ("a person to resolve it", image.birth_date[:4])
    assert set(box.opened().datasets) == {scan().uid}


async def test_two_patients_without_an_id_at_the_same_time_are_two_held_shares(box: House) -> None:
    nobody = {"patient_id": "none", "name": ""}
    for number in (1, 2):
        await box.send(scan(number=number, **nobody), scan(patient="B", number=number, **nobody))
    assert await doubts(box) == [("held", "no-patient-id")] * 2
    assert [row["instances"] for row in await box.shares()] == [2, 2]


async def test_where_the_profile_shares_them_each_study_without_an_id_has_a_slip(make_house: MakeHouse) -> None:
    async with make_house(rules=rules(without_id=True)) as box:
        box.start()
        nobody = {"patient_id": "none", "name": "CANARYSON"}
        await box.send(scan(**nobody), scan(patient="B", **nobody), scan(number=2, **nobody))
        await box.settled()
        assert await doubts(box) == [OPEN, OPEN]
        assert len(box.printer.jobs) == 2
        assert set(box.opened(which=0).datasets) == {scan().uid, scan(number=2).uid}


async def test_a_study_without_a_birth_date_goes_out_with_a_pin(box: House) -> None:
    await box.send(scan(birth_date=""))
    await box.settled()
    assert await doubts(box) == [OPEN]
    (link,) = await box.rows("links", share=1)
    assert link["factor"] == "pin"


async def test_a_damaged_image_does_not_hold_back_the_rest_of_its_study(box: House) -> None:
    from tests.fakes.spool import arrival, store

    broken = scan().dataset.replace(b"19700131", b"1970\xff\xff31")[:-10]
    box.receiving.stored(await store(box.spool, broken, arrival(scan().uid)), box.call())
    await box.until(lambda: not box.receiving.behind)
    await box.send(scan(number=2), scan(number=3))
    await box.settled()
    assert len(box.printer.jobs) >= 1
    assert "open" in {state for state, _ in await doubts(box)}


async def test_a_patient_who_comes_again_is_not_held_for_what_was_then(box: House) -> None:
    """The first share is closed, revoked or still there: its visit is over."""
    await box.send(scan(), scan(patient="B", name="OLD^B"), scan(patient="C", name="OLD^C"))
    await box.settled()
    for which, state in ((1, "closed"), (2, "revoked")):
        await box.journal.run(lambda tx, i=which, s=state: tx.do("set_share_state", id=i, state=s))  # type: ignore[misc]
    box.clock.advance(VISIT_S + 1)
    for study in "98":
        await box.send(*[scan(patient=patient, name=f"NEW^{patient}", study=study, sex="M") for patient in "ABC"])
    assert (await doubts(box))[3:] == [OPEN] * 3


# -- visits ------------------------------------------------------------------------------------------------------------


async def test_a_study_that_goes_on_beyond_the_visit_stays_one(box: House) -> None:
    peer = box.call()
    await box.send(scan(), peer=peer)
    await box.until(lambda: not box.receiving.behind)
    box.clock.advance(VISIT_S + 1)
    await box.send(scan(number=2), peer=peer)
    await box.send(scan(study="2", number=3))
    await box.settled()
    assert await doubts(box) == [OPEN, OPEN]
    assert [row["instances"] for row in await box.shares()] == [2, 1]


@pytest.mark.parametrize("jump", [-10 * 365 * 86400.0, 10 * 365 * 86400.0])
async def test_a_clock_that_jumps_while_a_study_arrives_does_not_split_it(box: House, jump: float) -> None:
    peer = box.call()
    await box.send(scan(), peer=peer)
    await box.settled()
    box.clock.jump(jump)
    await box.send(*[scan(number=number) for number in (2, 3)], peer=peer)
    await box.settled()
    assert await doubts(box) == [OPEN]
    assert len(box.printer.jobs) == 1


# -- never mixed -------------------------------------------------------------------------------------------------------

TURNS, HOUSES = 500, 5
PATIENT_IDS = re.compile(rb"[A-D]{2}-\d+-[A-D]")


def interleaving(chance: random.Random, turn: int) -> tuple[list[list[Image]], dict[str, set[str]]]:
    """Images by association, and which each patient has. Two to four patients, one to four associations."""
    lines: list[list[Image]] = [[] for _ in range(chance.randint(1, 4))]
    wanted: dict[str, set[str]] = defaultdict(set)
    several = []
    for patient in "ABCD"[: chance.randint(2, 4)]:
        patient_id, name = f"{patient}{patient}-{turn}-{patient}", f"CANARYSON^{patient * 3}{turn}"
        for study in range(chance.randint(1, 2)):
            for number in range(1, chance.randint(1, 3) + 1):
                spelled = chance.choice([name, name.lower(), name.title()])
                image = Image(patient, f"{turn}.{study + 1}", number=number, name=spelled, patient_id=patient_id)
                wanted[patient_id].add(image.uid)
                several.append(replace(image, sender=chance.choice(["CT1", "MR1"])))
                if chance.random() < 0.2:
                    several.append(several[-1])  # sent twice
    chance.shuffle(several)
    for image in several:
        chance.choice(lines).append(image)
    return lines, wanted


async def call(box: House, images: list[Image], chance: random.Random) -> None:
    """One association, in turns with the others."""
    peer = box.call()
    for image in images:
        await box.send(image, peer=peer)
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
    box.receiving.closed(peer)


@pytest.mark.parametrize("nth", range(HOUSES))
async def test_random_interleavings_never_mix_two_patients(make_house: MakeHouse, nth: int) -> None:
    """Replayed with SLIPWAY_SEED."""
    seed = int(os.environ.get("SLIPWAY_SEED") or random.SystemRandom().randrange(1 << 32)) + nth
    print(f"SLIPWAY_SEED={seed - nth}")
    chance = random.Random(seed)
    wanted: dict[str, set[str]] = {}
    async with make_house() as box:
        box.start("receiving", "relaying")
        for turn in range(TURNS // HOUSES):
            lines, of_turn = interleaving(chance, turn)
            wanted |= of_turn
            await asyncio.gather(*(call(box, line, chance) for line in lines))
        await box.settled_relay()
        found = {}
        for row in await box.shares():
            assert (row["state"], row["doubt"]) == OPEN
            shown = at_vault(box, row)
            datasets = opened_datasets(box.vault.shares[row["share_id"]], shown)
            for dataset in datasets.values():
                assert {name.decode() for name in PATIENT_IDS.findall(dataset)} == {shown.patient.id}
            found[shown.patient.id] = set(datasets)
            assert len(await box.rows("slips_of_share", share=row["id"])) == 1
        assert found == wanted


def test_what_was_sent_is_what_was_meant() -> None:
    """The test's own images: each association's together are each patient's."""
    lines, wanted = interleaving(random.Random(1), 0)
    assert uids(image for line in lines for image in line) == set().union(*wanted.values())
