"""From a modality's send to the picture on a phone: real programs, a printer on TCP, a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.fakes.printers import ConfirmingPrinter
from tests.system.harness import (
    dcmsend,
    loop,
    open_all,
    open_link,
    pynetdicom_storescu,
    storescu,
)
from tests.system.phone import Phone, phone
from tests.system.pixels import displayed
from tests.system.study import Person, ct_series, fingerprints
from tests.system.tcp_printer import listening

PERSON = Person()
Send = Callable[[int, Sequence[Path]], None]


def uid_of(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)


@pytest.mark.parametrize("send", [dcmsend, storescu, pynetdicom_storescu], ids=lambda send: send.__name__)
def test_a_study_goes_from_the_sender_to_paper_to_phone_and_comes_out_bit_for_bit(send: Send, tmp_path: Path) -> None:
    study = ct_series(tmp_path / "study", 8, PERSON)
    with listening(ConfirmingPrinter()) as printer, loop(tmp_path, printer.device) as (vault, box):
        send(box.port, study)
        link = printer.job().link
        assert link.startswith(vault.url + "/#")
        files = open_all(link, tmp_path / "opened", PERSON.birth_date, len(study))
        assert fingerprints(files) == fingerprints(study)
        with phone() as browser:
            see_every_image(browser, link, study)


def see_every_image(browser: Phone, link: str, study: list[Path]) -> None:
    browser.open(link)
    browser.prove(PERSON.birth_date)
    browser.says(f"\n{len(study)} images are here")
    browser.find("series-item").click()
    for number, path in enumerate(study):
        shown = browser.canvas_of(uid_of(path))
        expected = displayed(path)
        assert np.abs(shown.astype(int) - expected[:, :, None]).max() <= 1, f"image {number + 1} looks different"
        if number + 1 < len(study):
            browser.find("next-image").click()


def test_the_slip_is_out_and_the_page_open_while_images_still_arrive(tmp_path: Path) -> None:
    study = ct_series(tmp_path / "study", 6, PERSON)
    with listening(ConfirmingPrinter()) as printer, loop(tmp_path, printer.device) as (_, box), phone() as browser:
        dcmsend(box.port, study[:1])
        browser.open(printer.job().link)
        browser.prove(PERSON.birth_date)
        browser.says("1 image")
        dcmsend(box.port, study[1:])
        browser.says("\n6 images are here")
        assert len(printer.machine.jobs) == 1, "late images join the share: no second slip"


def test_the_address_bar_forgets_the_secret_at_once_and_nothing_violates_the_policy(tmp_path: Path) -> None:
    study = ct_series(tmp_path / "study", 2, PERSON)
    with listening(ConfirmingPrinter()) as printer, loop(tmp_path, printer.device) as (vault, box), phone() as browser:
        dcmsend(box.port, study)
        link = printer.job().link
        browser.open(link)
        browser.find("factor-day")
        assert browser.driver.current_url == vault.url + "/"
        browser.prove(PERSON.birth_date)
        browser.find("series-item").click()
        browser.canvas_of(uid_of(study[0]))
        token = link.partition("#")[2]
        sent = json.dumps(browser.driver.get_log("performance"))
        requests = [entry for entry in sent.split("Network.requestWillBeSent") if vault.url + "/api" in entry]
        assert requests, "the browser's requests were recorded"
        assert not any(token[22:60] in entry for entry in requests), "the secret left the phone"
        assert browser.complaints() == []


def test_two_patients_sent_together_get_a_slip_each_and_never_meet(tmp_path: Path) -> None:
    ada, ben = PERSON, Person("Stone^Ben", "SLIP-0002", "19551224", "M")
    first = ct_series(tmp_path / "a", 5, ada, study=1)
    second = ct_series(tmp_path / "b", 5, ben, study=2)
    mixed = [path for pair in zip(first, second, strict=True) for path in pair]
    with listening(ConfirmingPrinter()) as printer, loop(tmp_path, printer.device) as (_, box):
        dcmsend(box.port, mixed)
        links = [printer.job(1).link, printer.job(2).link]
        if open_link(links[0], tmp_path / "probe", ada.birth_date, check=False).returncode:
            links.reverse()
        for link, person, study in zip(links, (ada, ben), (first, second), strict=True):
            files = open_all(link, tmp_path / person.patient_id, person.birth_date, 5)
            assert fingerprints(files) == fingerprints(study)
