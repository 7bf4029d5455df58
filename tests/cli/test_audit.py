"""`slipway audit` against a running box: what people read, what leaves, and what a changed journal comes to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from tests.cli.test_commands import complains, slipway
from tests.daemon.house import BIRTH_DATE, NAME, PATIENT_ID, Image
from tests.fakes.peers import RawPeer
from tests.formats.test_audit_message import complaints
from tests.system.harness import Box, eventually


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Without a vault: an image was received, the box was stopped and started again."""
    folder = tmp_path_factory.mktemp("audited")
    (folder / "slips").mkdir()
    box = Box(folder, f"file://{folder}/slips")
    try:
        box.start()
        asyncio.run(send(box.port))
        eventually(lambda: box.ask("shares", "list"), 20, "a share")
        box.stop()
        box.start()
        yield box
    finally:
        box.stop()


async def send(port: int) -> None:
    async with await RawPeer.call(port) as peer:
        assert (await peer.store(Image().dataset, Image().uid)).status == 0
        await peer.release()


def test_the_list_tells_what_happened_in_words(box: Box) -> None:
    said = [row["what"] for row in box.ask("audit", "list")]
    wanted = [
        "the box started",
        "CT1 at 127.0.0.1 began to send a study to SHARE",
        "CT1 at 127.0.0.1 sent 1 image of a study to SHARE",
        "1 shares were listed",
        "the box stopped",
        "the box started",
    ]
    places = [said.index(one) for one in wanted[:5]]
    assert said.count("the box started") == 2
    assert places[0] == 0
    assert places[4] == max(places)


def test_reading_the_trail_is_recorded_once(box: Box) -> None:
    before = len(box.ask("audit", "list"))
    newest = box.ask("audit", "list")
    assert len(newest) == before + 1
    assert newest[-1]["what"] == "this trail was read (list)"
    assert newest[-1]["who"] != "the box"


def test_since_narrows_the_list_down(box: Box) -> None:
    assert box.ask("audit", "list", "--since", "1h")
    assert box.ask("audit", "list", "--since", "2099-01-01") == []
    assert box.ask("audit", "list", "--since", "2020-01-01 10:00")[0]["what"] == "the box started"
    newest = box.ask("audit", "list")[-1]
    again = box.ask("audit", "list", "--since", newest["at"])  # with its offset, as it was told
    assert newest["number"] in [row["number"] for row in again]
    complains(slipway("audit", "list", "--since", "yesterday", "--config", box.config), 2, "no point in time")


def test_the_list_shows_nothing_of_a_patient_and_the_export_shows_ids_only(box: Box) -> None:
    listed = box.command("audit", "list").stdout
    exported = box.command("audit", "export", "--xml").stdout
    assert not any(secret in listed for secret in (NAME, PATIENT_ID, BIRTH_DATE, Image().study_uid))
    assert not any(secret in exported for secret in (NAME, BIRTH_DATE))
    assert PATIENT_ID in exported
    assert Image().study_uid in exported


def test_the_export_is_one_valid_message_a_line(box: Box, tmp_path: Path) -> None:
    lines = box.command("audit", "export", "--xml").stdout.splitlines()
    assert len(lines) > 5
    assert complaints(tmp_path, *(line.encode() for line in lines)) == ""
    first = Xml.fromstring(lines[0]).find("EventIdentification/EventTypeCode")
    assert first is not None
    assert first.get("csd-code") == "110120"


def test_an_untouched_trail_is_verified(box: Box) -> None:
    done = slipway("audit", "verify", "--config", box.config)
    assert done.returncode == 0
    assert "none was altered" in done.stdout


def test_a_changed_trail_is_told_with_exit_status_1(box: Box) -> None:
    box.stop()
    with contextlib.closing(sqlite3.connect(box.spool / "journal.db")) as connection:
        connection.execute("DROP TRIGGER audit_is_never_changed")
        connection.execute("UPDATE audit SET at = at - 3600 WHERE id = 2")
        connection.commit()
    box.start()
    done = slipway("audit", "verify", "--config", box.config)
    assert done.returncode == 1
    assert "record 2 was altered" in done.stdout
    done = slipway("audit", "verify", "--json", "--config", box.config)
    assert json.loads(done.stdout)["faults"]
