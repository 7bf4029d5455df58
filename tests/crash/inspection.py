"""What must be true of a box after it was killed or its disk failed, whatever the moment. Else: AssertionError.

`listed` and `running` ask the box, as staff and patient would; `stopped` looks at its disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from PIL import Image as Picture

from appliance.adapters.spool import FileSpool
from appliance.cli.opening import _open
from appliance.errors import SlipwayError
from appliance.formats import base64url, link, stream
from appliance.formats.sealed import Sealer
from appliance.formats.spool_frame import Location
from tests import escpos_reader
from tests.crash.life import House
from tests.crash.modality import Modality
from tests.samples import dataset_bytes

SETTLED_S = 20.0
LOOK_EVERY_S = 0.05
BELONGS = {"lost+found", "spool.key", "enrolment.json", "journal.db", "journal.db-wal", "journal.db-shm", "spool"}


async def listed(house: House, modality: Modality) -> None:
    """A box that has just started knows everything that was acknowledged before, or soon will without being told."""

    async def missing() -> str:
        images = sum(share["images"] for share in await house.ask("shares-list"))
        known = images >= len(modality.acknowledged)
        return "" if known else f"{images} listed, {len(modality.acknowledged)} acknowledged"

    await _in_the_end(missing)


async def _in_the_end(problem: Callable[[], Awaitable[str]]) -> None:
    """It says "" some time soon."""
    said = ""
    for _ in range(round(SETTLED_S / LOOK_EVERY_S)):
        if not (said := await problem()):
            return
        await asyncio.sleep(LOOK_EVERY_S)
    raise AssertionError(said)


async def running(house: House, modality: Modality) -> None:
    """A resend of everything is taken and makes no copy, and one slip opens all of it, bit for bit."""
    await modality.send_again(house.port)
    await _in_the_end(lambda: _unsettled(house, modality))


async def _unsettled(house: House, modality: Modality) -> str:
    """What is still to come; "" when nothing is."""
    status, shares, slips = [await house.ask(name) for name in ("status", "shares-list", "slips-list")]
    if len(shares) != 1 or shares[0]["images"] != len(modality.images):
        return f"shares: {shares}"
    if shares[0]["at_vault"] != len(modality.images) or status["objects_waiting"] or status["slips_waiting"]:
        return f"not all is at the vault or on paper: {shares}, {status}"
    story = await house.ask("shares-show", id=shares[0]["id"])
    states = sorted(one["state"] for one in story["links"])
    if states.count("active") != 1 or set(states) - {"active", "destroyed"}:
        return f"links: {states}"
    printed = [slip["number"] for slip in slips if slip["state"] == "printed"]
    if len(printed) != 1 or {slip["state"] for slip in slips} - {"printed", "unknown", "void"}:
        return f"slips: {slips}"
    return await _unopened(house, printed[0], modality)


async def _unopened(house: House, slip: str, modality: Modality) -> str:
    """What the patient does not get from that slip."""
    url = escpos_reader.decode_qr(Picture.open(house.slips / f"{slip}.png"))
    try:
        value: dict[str, Any] = await _open(link.parse(url), "", house.folder / "opened", quiet=True)
    except SlipwayError as error:
        return f"the link does not open: {error}"
    if value["written"] != len(modality.images):
        return f"{value['written']} images behind the link"
    found = {hashlib.sha256(dataset_bytes(Path(file["path"]))).hexdigest() for file in value["files"]}
    assert found == set(modality.digests.values()), "an image came out other than it went in"
    return ""


def stopped(house: House, modality: Modality) -> None:
    """The journal is whole, every image's bytes are on this disk once, and nothing lies there that nobody knows."""
    journal = sqlite3.connect(f"file:{house.state / 'journal.db'}?mode=ro", uri=True)
    journal.row_factory = sqlite3.Row
    try:
        assert journal.execute("PRAGMA integrity_check").fetchall()[0][0] == "ok"
        assert not journal.execute("PRAGMA foreign_key_check").fetchall()
        rows = list(map(dict, journal.execute("SELECT stream_id, duplicate, sealed, segments FROM instance")))
    finally:
        journal.close()
    sealer = Sealer((house.state / "spool.key").read_bytes())
    spool = FileSpool(house.state / "spool", sealer)
    listed = [_read_back(spool, sealer, row) for row in rows if not row["duplicate"]]
    assert sorted(listed) == sorted(modality.digests.items()), "the spool holds other images than were sent"
    # The end may come before the journal knows the last copies of the resend; the next start takes them up.
    unlisted = {receipt.arrival.sop_instance_uid for receipt in spool.scan({row["stream_id"] for row in rows})}
    assert unlisted <= modality.digests.keys(), "durable instances that nobody sent"
    found = {path.name for path in house.state.iterdir()} - BELONGS
    found |= {path.name for path in (house.state / "spool").iterdir() if path.suffix not in (".spool", ".spare")}
    assert not found, f"orphans: {found}"


def _read_back(spool: FileSpool, sealer: Sealer, row: dict[str, Any]) -> tuple[str, str]:
    value = sealer.open_json(b"instance" + row["stream_id"], row["sealed"])
    segments = (spool.read(Location(*segment)) for segment in json.loads(row["segments"]))
    key = base64url.decode(value["key"], 32)
    plain = b"".join(stream.open_segments(key, stream.instance_aad(row["stream_id"]), segments))
    return value["uid"], hashlib.sha256(plain).hexdigest()
