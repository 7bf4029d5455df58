"""The command as technicians and scripts run it: exit status, JSON, and errors that say what to do."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from appliance.formats.moments import shown
from tests import escpos_reader
from tests.daemon.house import BIRTH_DATE, Image
from tests.fakes.peers import RawPeer, RejectedError
from tests.system.harness import BIN, Box, Program, Vault, eventually, free_port

PROFILES = """ae_title = "SHARE"
quiet_seconds = 3600
[[profile]]
ae_title = "PIN"
second_factor = "pin"
"""


@dataclass
class Site:
    """A box at work, its vault, and what they have been given."""

    vault: Vault
    box: Box
    slips: Path

    def run(self, *words: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return slipway(*words, "--config", self.box.config, stdin=stdin)

    def json(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def link(self, number: str) -> str:
        return escpos_reader.decode_qr(Picture.open(self.slips / f"{number}.png"))

    def share_of(self, profile: str, state: str = "open") -> str:
        shares = [one for one in self.json("shares", "list") if one["profile"] == profile and one["state"] == state]
        return str(shares[-1]["id"])


def slipway(*words: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """One run of the command. Whatever happens, nobody is shown a traceback."""
    done = subprocess.run(
        [BIN / "slipway", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        input=stdin or "",
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode in (0, 1, 2)
    return done


def complains(done: subprocess.CompletedProcess[str], status: int, pattern: str) -> None:
    """A sentence and a hint on stderr, and nothing on stdout."""
    assert done.returncode == status, done.stderr
    sentence, hint, *more = done.stderr.splitlines()
    assert sentence.startswith("slipway: ")
    assert re.search(pattern, done.stderr), done.stderr
    assert hint.startswith("  ")
    assert len(hint.strip()) > 10
    assert more == []
    assert done.stdout == ""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "slips").mkdir()
    vault, box = Vault(folder / "vault"), Box(folder / "box", f"file://{folder}/slips", profile=PROFILES)
    try:
        vault.start()
        box.start(vault)
        asyncio.run(send(box.port))
        site = Site(vault, box, folder / "slips")
        eventually(lambda: len(list((folder / "slips").glob("*.png"))) >= 3, 30, "three slips")
        eventually(lambda: site.json("status")["objects_waiting"] == 0, 30, "everything at the vault")
        yield site
    finally:
        box.stop()
        vault.stop()


async def send(port: int) -> None:
    """Two patients by birth date, one by PIN, and one whose images are in doubt."""
    for image in (
        Image(patient="A"),
        Image(patient="B"),
        Image(patient="C", profile="PIN"),
        Image(patient="A", number=2, study="2", name="SOMEBODY^ELSE"),
    ):
        async with await RawPeer.call(port, called=image.profile) as peer:
            assert (await peer.store(image.dataset, image.uid)).status == 0
            await peer.release()


# -- facts -------------------------------------------------------------------------------------------------------------

FACTS = [
    ("status",),
    ("shares", "list"),
    ("shares", "list", "--held"),
    ("slips", "list"),
    ("peers", "list"),
    ("printer", "status"),
    ("printer", "list"),
    ("settings", "show"),
    ("status", "--print"),
]


@pytest.mark.parametrize("words", FACTS, ids=" ".join)
def test_facts_come_as_text_and_as_json(site: Site, words: tuple[str, ...]) -> None:
    text = site.run(*words)
    assert text.returncode == 0, text.stderr
    assert text.stdout.strip()
    assert site.json(*words) is not None


TIMES = [
    (("shares", "list"), ("opened_at",)),
    (("slips", "list"), ("expires_at", "printed_at")),
    (("audit", "list"), ("at",)),
]


@pytest.mark.parametrize(("words", "columns"), TIMES, ids=lambda given: " ".join(given))
def test_programs_get_times_with_their_offset_and_people_short_ones(
    site: Site, words: tuple[str, ...], columns: tuple[str, ...]
) -> None:
    rows, table = site.json(*words), site.run(*words).stdout
    times = [row[column] for row in rows for column in columns if row[column]]
    assert times
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", one) for one in times)
    assert all(shown(one) in table for one in times)
    assert not any(one in table for one in times)


def test_a_shares_story_is_told_by_day_and_hour(site: Site) -> None:
    share = site.share_of("SHARE")
    told, story = site.json("shares", "show", share), site.run("shares", "show", share).stdout
    assert shown(told["story"][0]["at"]).partition(" ")[2] in story
    assert not re.search(r"\dT\d", story)


def test_doctor_looks_at_everything_and_says_what_it_found(site: Site) -> None:
    done = site.run("doctor", "--json")
    findings = json.loads(done.stdout)
    assert [finding["name"] for finding in findings] == ["settings", "service", "vault", "printer", "slip", "disk"]
    wrong = [finding for finding in findings if finding["level"] == "problem"]
    assert done.returncode == (1 if wrong else 0)
    assert [finding["name"] for finding in wrong if finding["name"] != "disk"] == []
    assert all(finding["do"] for finding in wrong)


def test_no_fact_shows_more_of_a_patient_than_initials_and_year(site: Site) -> None:
    said = "".join(site.run(*words, "--json").stdout for words in FACTS)
    said += site.run("shares", "show", site.share_of("SHARE")).stdout
    assert "1970" in said
    for canary in ("CANARYSON", "CANARY-4711", BIRTH_DATE, "1.2.826.4711"):
        assert canary not in said


def test_a_share_can_be_shown_by_the_beginning_of_its_id(site: Site) -> None:
    share = site.share_of("SHARE")
    story = site.json("shares", "show", share)
    assert story["id"] == share
    assert "What happened" in site.run("shares", "show", share).stdout


def test_the_pin_is_told_to_staff_and_opens_the_slip(site: Site, tmp_path: Path) -> None:
    share = site.share_of("PIN")
    story = site.json("shares", "show", share)
    number = story["slips"][-1]["number"]
    done = slipway("open", site.link(number), "--to", tmp_path, "--factor", story["links"][-1]["pin"], "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["written"] == 1
    assert f"PIN {story['links'][-1]['pin']}" in site.run("shares", "show", share).stdout
    assert site.run("slips", "pin", number).stdout == f"PIN of slip {number}: {story['links'][-1]['pin']}\n"
    assert site.json("slips", "pin", number.lower()) == {"number": number, "pin": story["links"][-1]["pin"]}
    assert (site.slips / f"{number}-PIN.png").is_file()


def test_a_slip_without_a_pin_has_none_to_show(site: Site) -> None:
    refused = site.run("slips", "pin", "S-00001")
    assert refused.returncode == 1
    assert "date of birth" in refused.stderr


# -- deeds -------------------------------------------------------------------------------------------------------------


def test_open_writes_the_datasets_as_they_were_sent(site: Site, tmp_path: Path) -> None:
    from tests.samples import dataset_bytes

    done = slipway("open", site.link("S-00001"), "--to", tmp_path / "out", "--factor", "1970-01-31")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "out").rglob("*.dcm")
    assert dataset_bytes(path) in {Image(patient="A").dataset, Image(patient="B").dataset}
    assert "each verified" in done.stdout


def test_a_reason_that_is_none_prints_nothing(site: Site) -> None:
    complains(site.run("slips", "reprint", "S-00001", "--reason", "lsot"), 2, "no reason for another slip")
    complains(site.run("slips", "reprint", "S-00001"), 2, "needs a reason")


def test_a_slip_in_the_wrong_hands_says_what_else_to_do_and_is_on_the_record(site: Site) -> None:
    number = site.json("slips", "list")[0]["number"]
    done = site.run("slips", "reprint", number, "--reason", "wrong-person")
    assert done.returncode == 0, done.stderr
    assert "privacy officer" in done.stdout
    assert any("given to the wrong person" in one["what"] for one in site.json("audit", "list"))


def test_reprint_extend_release_and_revoke(site: Site, tmp_path: Path) -> None:
    held = site.share_of("SHARE", "held")
    released = site.json("shares", "release", held, "--why", "asked her")
    assert released["state"] == "open"
    number = released["slips"][-1]["number"]
    eventually(lambda: (site.slips / f"{number}.png").exists(), 30, "the released share's slip")
    assert site.run("shares", "extend", held, "--days", "30").returncode == 0
    reprinted = site.json("slips", "reprint", number, "--why", "torn")
    again = reprinted["slips"][-1]["number"]
    eventually(lambda: (site.slips / f"{again}.png").exists(), 30, "the second slip")
    complains(slipway("open", site.link(number), "--to", tmp_path, "--factor", BIRTH_DATE), 1, "revoked")
    refused = site.run("shares", "revoke", held, stdin="n\n")
    assert refused.returncode == 1
    assert site.json("shares", "show", held)["state"] == "open"
    assert site.run("shares", "revoke", held, stdin="y\n").returncode == 0
    assert site.json("shares", "revoke", held, "--yes")["state"] == "revoked"
    eventually(lambda: is_dead(site, again, tmp_path), 30, "the revoked slip dead at the vault")


def test_what_staff_say_of_a_slip_is_answered_in_words(site: Site) -> None:
    said = site.run("slips", "confirm", "s-00001")
    assert (said.returncode, said.stdout) == (0, "Slip S-00001 is printed.\n")
    complains(site.run("slips", "lost", "S-00001"), 1, "a slip that is printed cannot be lost")
    complains(site.run("slips", "confirm", "S-99999"), 1, "no slip S-99999")
    assert "nothing was kept back" in site.run("slips", "release", "--all").stdout
    assert site.json("slips", "release", "--all") == {"released": []}


@pytest.mark.parametrize("words", [(), ("S-00001", "--all")])
def test_a_release_names_a_slip_or_all_of_them(site: Site, words: tuple[str, ...]) -> None:
    done = site.run("slips", "release", *words)
    assert done.returncode == 2
    assert "--all" in done.stderr


def is_dead(site: Site, number: str, to: Path) -> bool:
    return slipway("open", site.link(number), "--to", to, "--factor", BIRTH_DATE).returncode == 1


def test_the_printers_test_slip_comes_out(site: Site) -> None:
    done = site.run("printer", "test")
    assert done.returncode == 0, done.stderr
    assert (site.slips / "TEST.png").exists()


def test_the_running_box_prints_the_test_slip_itself(site: Site, tmp_path: Path) -> None:
    """Two programs at one printer would print into each other's slips."""
    (tmp_path / "beside").mkdir()
    other = tmp_path / "other.toml"
    other.write_text(site.box.config.read_text().replace(site.box.printer, f"file://{tmp_path}/beside"))
    (site.slips / "TEST.png").unlink(missing_ok=True)
    done = slipway("printer", "test", "--config", other)
    assert done.returncode == 0, done.stderr
    assert (site.slips / "TEST.png").exists()
    assert list((tmp_path / "beside").iterdir()) == []


def test_without_a_running_box_the_test_slip_comes_out_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "slips").mkdir()
    box = Box(tmp_path / "box", f"file://{tmp_path}/slips")
    box.write_settings()
    done = slipway("printer", "test", "--config", box.config)
    assert done.returncode == 0, done.stderr
    assert "Set [printer] density" not in done.stdout
    assert "Scan it" in done.stdout
    measures, sample = escpos_reader.slips((tmp_path / "slips" / "TEST.bin").read_bytes())
    assert measures.height > measures.width
    assert escpos_reader.decode_qr(sample).startswith("https://slipway.test/#")


def test_a_test_slip_that_did_not_come_out_is_an_error_whoever_prints(tmp_path: Path) -> None:
    box = Box(tmp_path / "box", "none")
    box.write_settings()
    complains(slipway("printer", "test", "--config", box.config), 1, "not confirmed")
    try:
        box.start()
        complains(slipway("printer", "test", "--config", box.config), 1, "not confirmed")
    finally:
        box.stop()


def test_a_parked_peer_is_listed_and_approved(tmp_path: Path) -> None:
    box = Box(tmp_path / "box", "none", unknown_peers="park")
    try:
        box.start()
        with pytest.raises(RejectedError):
            asyncio.run(associate(box.port))
        row = eventually(lambda: (box.ask("peers", "list") or [None])[0], 20, "the parked peer")
        assert (row["ae_title"], row["address"], row["state"]) == ("CT1", "127.0.0.1", "parked")
        status = slipway("status", "--config", box.config)
        assert status.returncode == 1
        assert "slipway enrol" in status.stdout
        assert slipway("peers", "approve", "CT1", "--config", box.config).returncode == 0
        asyncio.run(associate(box.port))
        complains(slipway("peers", "approve", "CT9", "nowhere", "--config", box.config), 1, "no IP address")
    finally:
        box.stop()


async def associate(port: int) -> None:
    async with await RawPeer.call(port) as peer:
        await peer.release()


# -- errors ------------------------------------------------------------------------------------------------------------

NOT_FOUND = [
    (("shares", "show", "00000000"), "no share has"),
    (("shares", "show", "xyz"), "is not a share's id"),
    (("shares", "revoke", "00000000", "--yes"), "no share has"),
    (("slips", "reprint", "S-77777", "--why", "lost"), "no slip S-77777"),
    (("slips", "reprint", "S-77777", "--reason", "lost"), "no slip S-77777"),
    (("slips", "release", "--wristband", "-"), "no slip waits for this wristband"),
    (("peers", "approve", "NOBODY"), "no sender NOBODY"),
    (("peers", "echo"), "has a port"),
]


@pytest.mark.parametrize(("words", "pattern"), NOT_FOUND, ids=lambda value: " ".join(value) if value else "")
def test_what_is_not_there_is_an_error_with_a_hint(site: Site, words: tuple[str, ...], pattern: str) -> None:
    complains(site.run(*words), 1, pattern)


USAGE = [
    ("teleport",),
    ("shares", "show"),
    ("shares", "extend", "abc", "--days", "many"),
    ("shares", "extend", "abc", "--days", "1000"),
    ("status", "--jsn"),
    ("open",),
    ("enrol", "https://vault.example.org"),
]


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_wrong_usage_ends_with_2(words: tuple[str, ...]) -> None:
    done = slipway(*words)
    assert done.returncode == 2
    assert "Usage" in done.stderr


LINKS = {
    "too short": ("https://vault.example.org/#abc", "too short"),
    "no fragment": ("https://vault.example.org/", "too short"),
    "mistyped": ("https://vault.example.org/#" + "A" * 66 + "E", "typing error|does not belong"),
    "nobody there": ("http://127.0.0.1:1/#" + "A" * 64 + "ZRw", "does not answer|typing error"),
}


@pytest.mark.parametrize("what", LINKS)
def test_a_link_that_cannot_be_opened_says_why(what: str, tmp_path: Path) -> None:
    link, pattern = LINKS[what]
    complains(slipway("open", link, "--to", tmp_path, "--factor", BIRTH_DATE), 1, pattern)


def test_a_wrong_birth_date_says_how_many_tries_are_left(site: Site, tmp_path: Path) -> None:
    complains(slipway("open", site.link("S-00002"), "--to", tmp_path, "--factor", "19991231"), 1, "tries left")


def test_a_folder_that_cannot_be_written_to_says_so(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = slipway("open", site.link("S-00001"), "--to", tmp_path / "file" / "x", "--factor", BIRTH_DATE)
    complains(done, 1, "cannot be written")


ENROLMENTS = [
    (("http://vault.example.org", "0000-0000-0000-0000"), 2, "https://"),
    (("ftp://vault.example.org", "0000-0000-0000-0000"), 2, "https://"),
    (("https://127.0.0.1:1", "0000-0000-0000-0000"), 1, "does not answer"),
    (("https://127.0.0.1:1", "short"), 1, "16 letters and digits"),
]


@pytest.mark.parametrize(("words", "status", "pattern"), ENROLMENTS)
def test_an_enrolment_that_cannot_be_says_why(
    words: tuple[str, str], status: int, pattern: str, tmp_path: Path
) -> None:
    box = Box(tmp_path / "box", "none")
    box.write_settings()
    complains(slipway("enrol", *words, "--config", box.config), status, pattern)


def test_a_code_that_is_spent_is_refused(site: Site) -> None:
    complains(site.run("enrol", site.vault.url, "0000-0000-0000-0000"), 1, "does not accept")


@pytest.mark.parametrize("words", [("status",), ("shares", "list"), ("printer", "status")], ids=" ".join)
def test_without_a_running_box_the_command_says_how_to_start_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    box = Box(tmp_path / "box", "none")
    box.write_settings()
    complains(slipway(*words, "--config", box.config), 1, "systemctl start")


def test_a_box_of_which_nothing_is_right_is_told_all_of_it_by_doctor(tmp_path: Path) -> None:
    box = Box(tmp_path / "box", "file:///nowhere/at/all")
    box.write_settings()
    done = slipway("doctor", "--config", box.config)
    assert done.returncode == 1
    for word in ("service", "vault", "printer"):
        assert re.search(rf"✗ {word}: .+\n    .+", done.stdout), done.stdout


# -- running -----------------------------------------------------------------------------------------------------------


def test_told_to_stop_the_box_ends_with_0(tmp_path: Path) -> None:
    box = Box(tmp_path / "box", "none")
    box.start()
    assert box.program is not None
    box.program.process.terminate()
    assert box.program.process.wait(20) == 0
    assert "stopped" in box.program.log.read_text()
    assert "Traceback" not in box.program.log.read_text()


def ended(program: Program) -> tuple[int, str]:
    status = program.process.wait(30)
    return status, program.log.read_text()


def test_a_second_box_on_the_same_folder_does_not_start_and_does_no_harm(site: Site, tmp_path: Path) -> None:
    second = Program([BIN / "slipway", "run", "--config", site.box.config], tmp_path / "log")
    status, log = ended(second)
    assert status == 1
    assert "journal" in log
    assert "Traceback" not in log
    assert site.json("status")["listening"]


def test_a_port_that_is_taken_is_said_and_ends_the_box(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        box = Box(tmp_path / "box", "none", port=taken.getsockname()[1])
        box.write_settings()
        status, log = ended(Program([BIN / "slipway", "run", "--config", box.config], tmp_path / "log"))
    assert status == 1
    assert "cannot listen" in log
    assert "ss -ltnp" in log
    assert "Traceback" not in log


BROKEN_BOXES = {
    "no such printer": ('device = "none"', 'device = "parchment"', 2, "names no printer"),
    "no such model": ("[spool]", '[spool]\nkey_file = "/nowhere"', 2, "spool key"),
    "no such folder": ("[spool]\npath = ", '[spool]\npath = "/dev/null/x" #', 1, "cannot be"),
    "no such authority": ("[spool]", '[vault]\nca_file = "/nowhere.pem"\n[spool]', 2, "ca_file"),
}


@pytest.mark.parametrize("what", BROKEN_BOXES)
def test_settings_that_cannot_be_carried_out_end_the_box_with_a_sentence(what: str, tmp_path: Path) -> None:
    old, new, status, pattern = BROKEN_BOXES[what]
    box = Box(tmp_path / "box", "none", port=free_port())
    box.write_settings()
    box.config.write_text(box.config.read_text().replace(old, new, 1))
    complains(slipway("run", "--config", box.config), status, pattern)


# -- the shell ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_generated_and_completes(shell: str) -> None:
    # From a shell, as a person asks: typer looks for one among the processes above it.
    command = f"{BIN / 'slipway'} --show-completion {shell}; exit $?"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "_SLIPWAY_COMPLETE" in done.stdout


def test_bash_is_told_the_commands() -> None:
    done = subprocess.run(
        [BIN / "slipway"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "_SLIPWAY_COMPLETE": "complete_bash", "COMP_WORDS": "slipway s", "COMP_CWORD": "1"},
    )
    assert set(done.stdout.split()) >= {"shares", "slips", "status", "settings"}


def test_bash_is_told_the_reasons_for_another_slip() -> None:
    words = "slipway slips reprint S-00001 --reason "
    done = subprocess.run(
        [BIN / "slipway"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "_SLIPWAY_COMPLETE": "complete_bash", "COMP_WORDS": words + "un", "COMP_CWORD": "5"},
    )
    assert done.stdout.split() == ["unreadable"]


def test_help_and_version() -> None:
    assert slipway("--version").stdout.startswith("slipway ")
    assert "paper slip" in slipway("--help").stdout
    assert slipway().returncode == 2
