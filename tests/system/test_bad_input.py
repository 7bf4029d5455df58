"""What goes wrong in the field: a clear sentence on the side where the person is, and nothing lost."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.loads import Instance
from tests.bench.sender import Association, connect, map_dataset
from tests.fakes.printers import ConfirmingPrinter
from tests.samples import meta
from tests.system.harness import Box, Vault, dcmsend, eventually, loop, open_all, open_link, run, storescu
from tests.system.phone import phone
from tests.system.study import Person, ct_series, fingerprints
from tests.system.tcp_printer import ListeningPrinter, listening

PERSON = Person()


@pytest.fixture
def printer() -> Iterator[ListeningPrinter]:
    with listening(ConfirmingPrinter()) as found:
        yield found


@pytest.fixture
def both(tmp_path: Path, printer: ListeningPrinter) -> Iterator[tuple[Vault, Box]]:
    with loop(tmp_path, printer.device) as found:
        yield found


@pytest.fixture
def study(tmp_path: Path) -> list[Path]:
    return ct_series(tmp_path / "study", 3, PERSON)


def log_of(box: Box) -> str:
    return (box.folder / "box.log").read_text()


def echo(port: int) -> bool:
    return run(["echoscu", "-aec", "SHARE", "127.0.0.1", str(port)], check=False).returncode == 0


def test_a_wrong_ae_title_is_refused_and_named_in_the_log(both: tuple[Vault, Box], study: list[Path]) -> None:
    _, box = both
    done = run(["storescu", "-aet", "CT1", "-aec", "SHAER", "127.0.0.1", str(box.port), *study], check=False)
    assert done.returncode != 0
    assert "Called AE Title Not Recognized" in done.stderr
    assert "called AE title 'SHAER'; this box answers to SHARE" in log_of(box)


def test_an_unknown_sender_is_parked_and_may_send_once_approved(
    tmp_path: Path, printer: ListeningPrinter, study: list[Path]
) -> None:
    with loop(tmp_path, printer.device, unknown_peers="park") as (_, box):
        refused = run(["storescu", "-aet", "CT9", "-aec", "SHARE", "127.0.0.1", str(box.port), *study], check=False)
        assert "Calling AE Title Not Recognized" in refused.stderr
        peers = eventually(lambda: box.ask("peers", "list"), 10, "the sender in the list")
        assert [(p["ae_title"], p["address"], p["state"]) for p in peers] == [("CT9", "127.0.0.1", "parked")]
        assert "slipway peers approve CT9 127.0.0.1" in log_of(box)
        assert "may send now" in box.command("peers", "approve", "CT9").stdout
        storescu(box.port, study, calling="CT9")
        assert printer.job().link


def test_garbage_on_the_port_is_answered_by_a_closed_door_and_disturbs_nobody(both: tuple[Vault, Box]) -> None:
    _, box = both
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + bytes(200), b"\x01\x00\xff\xff\xff\xff" + bytes(100)):
        with socket.create_connection(("127.0.0.1", box.port), 10) as wire:
            wire.sendall(garbage)
            wire.settimeout(10)
            answer = wire.recv(100)
            assert answer[:1] in (b"", b"\x07"), "an A-ABORT, or nothing"
    assert echo(box.port)
    assert "does not follow the DICOM upper layer protocol" in log_of(box)


def test_an_image_without_a_uid_is_refused_and_its_neighbours_are_kept(
    both: tuple[Vault, Box], printer: ListeningPrinter, study: list[Path], tmp_path: Path
) -> None:
    _, box = both
    group = meta(study[0])
    good = [
        Instance(str(path), group.sop_class, meta(path).sop_instance, group.transfer_syntax, meta(path).dataset_at, 0)
        for path in study
    ]
    bad = Instance(str(study[0]), group.sop_class, "", group.transfer_syntax, group.dataset_at, 0)
    association = Association.open(connect("127.0.0.1", box.port, 5), "SHARE", "CT1", good)
    order = [good[0], bad, good[1], good[2]]
    statuses = [
        association.store(association.build(one, number, map_dataset(one))) for number, one in enumerate(order, 1)
    ]
    association.release()
    assert statuses == [0, 0xC000, 0, 0]
    assert "without a SOP Instance UID" in log_of(box)
    assert fingerprints(open_all(printer.job().link, tmp_path / "opened", PERSON.birth_date, 3)) == fingerprints(study)


def test_a_wrong_birth_date_says_how_many_tries_are_left_and_five_lock_the_link(
    both: tuple[Vault, Box], printer: ListeningPrinter, study: list[Path], tmp_path: Path
) -> None:
    _, box = both
    dcmsend(box.port, study)
    link = printer.job().link
    with phone() as browser:
        browser.open(link)
        browser.prove("19700130")
        browser.says("4 tries left")
    for left in (3, 2, 1, 0):
        done = open_link(link, tmp_path / "opened", "19700101", check=False)
        assert done.returncode == 1
        assert f"({left} tries left)" in done.stderr
    locked = open_link(link, tmp_path / "opened", PERSON.birth_date, check=False)
    assert locked.returncode == 1
    assert "locked" in locked.stderr
    with phone() as browser:
        browser.open(link)
        browser.says("locked")
        browser.picture(tmp_path / "locked.png")


def test_a_mistyped_link_is_told_from_a_dead_one(
    both: tuple[Vault, Box], printer: ListeningPrinter, study: list[Path], tmp_path: Path
) -> None:
    vault, box = both
    dcmsend(box.port, study[:1])
    link = printer.job().link
    mistyped = link[:-5] + ("A" if link[-5] != "A" else "B") + link[-4:]
    done = open_link(mistyped, tmp_path / "opened", PERSON.birth_date, check=False)
    assert done.returncode == 1
    assert "typing error" in done.stderr
    with phone() as browser:
        browser.open(mistyped)
        browser.find("message")
        assert not browser.all("factor-submit") or not browser.all("factor-submit")[0].is_displayed()
        assert browser.driver.current_url == vault.url + "/"


def test_an_expired_link_says_so_and_staff_can_renew_it_without_new_paper(
    both: tuple[Vault, Box], printer: ListeningPrinter, study: list[Path], tmp_path: Path
) -> None:
    vault, box = both
    dcmsend(box.port, study)
    link = printer.job().link
    open_all(link, tmp_path / "before", PERSON.birth_date, 3)
    vault.stop()
    vault.start(clock="+8d")
    done = open_link(link, tmp_path / "late", PERSON.birth_date, check=False)
    assert done.returncode == 1
    assert "expired" in done.stderr
    with phone() as browser:
        browser.open(link)
        browser.says("expired")
    share = box.ask("shares", "list")[0]["id"]
    box.command("shares", "extend", share, "--days", "3")
    assert fingerprints(open_all(link, tmp_path / "renewed", PERSON.birth_date, 3)) == fingerprints(study)


def test_a_revoked_share_is_dead_for_everyone(
    both: tuple[Vault, Box], printer: ListeningPrinter, study: list[Path], tmp_path: Path
) -> None:
    _, box = both
    dcmsend(box.port, study)
    link = printer.job().link
    open_all(link, tmp_path / "before", PERSON.birth_date, 3)
    box.command("shares", "revoke", box.ask("shares", "list")[0]["id"], "--yes", "--why", "wrong slip")
    done = eventually(lambda: refusal(link, tmp_path / "after"), 20, "the link refused")
    assert "revoked" in done.stderr or "no longer" in done.stderr, done.stderr


def refusal(link: str, to: Path) -> subprocess.CompletedProcess[str] | None:
    done = open_link(link, to, PERSON.birth_date, check=False)
    return done if done.returncode else None


def test_reprinting_gives_a_new_code_and_kills_the_old_one(
    both: tuple[Vault, Box], printer: ListeningPrinter, study: list[Path], tmp_path: Path
) -> None:
    _, box = both
    dcmsend(box.port, study)
    old = printer.job().link
    open_all(old, tmp_path / "before", PERSON.birth_date, 3)
    slip = box.ask("slips", "list")[0]["number"]
    box.command("slips", "reprint", slip, "--why", "lost")
    new = printer.job(2).link
    assert new != old
    assert open_link(old, tmp_path / "old", PERSON.birth_date, check=False).returncode == 1
    assert fingerprints(open_all(new, tmp_path / "new", PERSON.birth_date, 3)) == fingerprints(study)


def test_with_the_vault_down_images_are_taken_and_the_slip_comes_when_it_is_back(
    both: tuple[Vault, Box], printer: ListeningPrinter, study: list[Path], tmp_path: Path
) -> None:
    vault, box = both
    vault.stop()
    dcmsend(box.port, study)
    status = eventually(lambda: down(box), 20, "a sentence about the vault")
    assert "Images are kept here and go up later" in status
    assert not printer.machine.jobs, "no slip that cannot be opened"
    vault.start()
    assert fingerprints(
        open_all(printer.job(within_s=60).link, tmp_path / "opened", PERSON.birth_date, 3)
    ) == fingerprints(study)


def down(box: Box) -> str | None:
    said = box.command("status", check=False).stdout
    return said if "The vault cannot be used" in said else None


def test_a_box_killed_amid_a_study_has_lost_nothing_that_it_acknowledged(
    both: tuple[Vault, Box], printer: ListeningPrinter, study: list[Path], tmp_path: Path
) -> None:
    vault, box = both
    vault.stop()
    dcmsend(box.port, study)
    assert box.program is not None
    box.program.kill()
    vault.start()
    box.start()
    assert fingerprints(
        open_all(printer.job(within_s=60).link, tmp_path / "opened", PERSON.birth_date, 3)
    ) == fingerprints(study)
    assert len(printer.machine.jobs) == 1
