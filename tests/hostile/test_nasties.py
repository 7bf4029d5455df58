"""Named nasties: each has an expected status; what was taken is kept, and held where it cannot be read."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.output import ask
from tests.bench.loads import Instance
from tests.bench.sender import Association, connect
from tests.bench.wire import receive_pdu
from tests.dicom.requests import item, raw_request
from tests.fakes.peers import CT, LITTLE, VERIFICATION, any_command, element
from tests.fuzz.seeds import pdata
from tests.hostile.nasties import STORED, Nasty
from tests.system.harness import Box, eventually

RSS_MOST = 256 << 20  # whatever came


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One for all of them, as a box lives on for years."""
    box = Box(tmp_path_factory.mktemp("nasties") / "box", "none")
    box.start()
    try:
        yield box
        assert box.program is not None
        assert box.program.process.poll() is None
    finally:
        box.stop()


def instance(nasty: Nasty) -> Instance:
    return Instance("", nasty.sop_class, nasty.uid, nasty.syntax, 0, 0)


def shares(box: Box) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(box.config, "shares-list", held=False)
    return found


def most_rss(box: Box) -> int:
    assert box.program is not None
    status = Path(f"/proc/{box.program.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))


@pytest.mark.parametrize("name", STORED)
def test_each_nasty_has_its_status_and_is_kept(box: Box, name: str) -> None:
    nasty, before = STORED[name](), {share["id"] for share in shares(box)}
    # What names no study joins what else of this sender's names none: each has a sender of its own.
    calling = f"CT{list(STORED).index(name)}"
    association = Association.open(connect("127.0.0.1", box.port, 5), "SHARE", calling, [instance(nasty)])
    pieces = association.build(instance(nasty), 1, memoryview(nasty.dataset))
    status = association.store(pieces if nasty.dataset else [*pieces, pdata(1, 2, b"")])
    association.release()
    assert status == nasty.status
    if status == 0:
        (share,) = eventually(lambda: [one for one in shares(box) if one["id"] not in before] or None, 20, "its share")
        assert (share["state"], share["images"]) == ("held" if nasty.held else "open", 1), share
        assert bool(share["held_because"]) == nasty.held
    assert most_rss(box) < RSS_MOST


def test_no_uid_makes_a_file_outside_of_the_spool(box: Box) -> None:
    names = [path.name for path in box.folder.rglob("*")]
    assert not [name for name in names if "nasty" in name or "1.2" in name or "%2e" in name]
    assert not Path("/tmp/nasty").exists()


# -- requests within an association ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answered:
    """A status, and the association lives on."""

    status: int


ABORT, REJECT, ACCEPT = 7, 3, 2
LONG_UID = element(0x1000, b"1" * 200_000)
STORE_WITHOUT_DATASET = any_command(CT, 0x0001)

REQUESTS: dict[str, tuple[bytes, Answered | int]] = {
    "a UID of 200,000 digits": (pdata(1, 1, LONG_UID[:60_000]) + pdata(1, 1, LONG_UID[60_000:120_000]), ABORT),
    "a store without a dataset": (pdata(1, 3, STORE_WITHOUT_DATASET), Answered(0x0211)),
    "a query": (pdata(1, 3, any_command(CT, 0x0020)), Answered(0x0211)),
    "a command that does not exist": (pdata(1, 3, any_command(CT, 0x7777)), Answered(0x0211)),
    "a command without a message ID": (pdata(1, 3, element(0x0100, b"\x30\0") + element(0x0800, b"\1\1")), ABORT),
    "an empty command": (pdata(1, 3, b""), ABORT),
    "an answer to nothing": (pdata(1, 3, any_command(CT, 0x8001)), ABORT),
    "a message on a context that was not proposed": (pdata(5, 3, any_command(VERIFICATION, 0x0030)), ABORT),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_each_nasty_request_has_its_answer(box: Box, name: str) -> None:
    sent, expected = REQUESTS[name]
    wire = connect("127.0.0.1", box.port, 5)
    association = Association.open(wire, "SHARE", "CT1", [Instance("", CT, "", LITTLE, 0, 0)])
    if isinstance(expected, Answered):
        assert association.store([sent]) == expected.status
        association.release()
        return
    wire.sendall(sent)
    assert receive_pdu(wire)[0] == expected
    wire.close()


# -- requests for an association ---------------------------------------------------------------------------------------

CONTEXT = item(0x20, b"\1\0\0\0" + item(0x30, CT.encode()) + item(0x40, LITTLE.encode()))
START, USER = item(0x10, b"1.2.840.10008.3.1.1.1"), item(0x50, item(0x51, bytes(4)) + item(0x52, b"1.2"))

ASSOCIATIONS: dict[str, tuple[bytes, int, bytes]] = {  # the request, the PDU that answers it, its bytes 1 to 3
    "a title with line breaks": (
        raw_request(START + CONTEXT + USER, calling="CT1\nroot:", called="SHARE"),
        REJECT,
        b"\1\1\3",
    ),
    "a title that is unknown": (raw_request(START + CONTEXT + USER, called="../../etc"), REJECT, b"\1\1\7"),
    "a title of spaces": (raw_request(START + CONTEXT + USER, calling=" ", called="SHARE"), ABORT, b""),
    "a request of 200 KiB": (struct.pack(">BxI", 1, 200 << 10) + bytes(1000), ABORT, b""),
    "a user item of 65,535 bytes": (
        raw_request(START + CONTEXT + item(0x50, item(0x51, bytes(4)) + item(0x58, b"\1" * 65_000)), called="SHARE"),
        ACCEPT,
        b"",
    ),
    "no context at all": (raw_request(START + USER, called="SHARE"), ACCEPT, b""),
    "129 contexts": (raw_request(START + CONTEXT * 129 + USER, called="SHARE"), ABORT, b""),
    "an abstract syntax of 60,000 digits": (
        raw_request(
            START + item(0x20, b"\1\0\0\0" + item(0x30, b"1" * 60_000) + item(0x40, b"1.2")) + USER, called="SHARE"
        ),
        ACCEPT,
        b"",
    ),
}


@pytest.mark.parametrize("name", ASSOCIATIONS)
def test_each_nasty_association_has_its_answer(box: Box, name: str) -> None:
    sent, expected, reason = ASSOCIATIONS[name]
    wire = connect("127.0.0.1", box.port, 5)
    wire.sendall(sent)
    kind, body = receive_pdu(wire)
    wire.close()
    assert kind == expected
    if reason:
        assert body[1:4] == reason


def test_after_all_of_them_a_good_image_is_taken_as_ever(box: Box) -> None:
    nasty = STORED["sequences 20 deep"]()
    association = Association.open(connect("127.0.0.1", box.port, 5), "SHARE", "CT1", [instance(nasty)])
    assert association.store(association.build(instance(nasty), 1, memoryview(nasty.dataset))) == 0
    association.release()
    log = (box.folder / "box.log").read_text()
    assert "Traceback" not in log
    assert "NASTY" not in log
