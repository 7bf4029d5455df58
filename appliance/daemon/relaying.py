"""Carries shares up to the vault while they are still arriving: numbered objects, several in flight, then manifests.

What an object holds is journalled before its first byte leaves, so after any crash the same bytes go under the same
number. A manifest lists only what the vault has confirmed.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from appliance.core.relay import IN_FLIGHT, OBJECT_BYTES, Part, Waiting, backoff_s, pack
from appliance.core.share import ShareState
from appliance.daemon.bell import Bell
from appliance.daemon.manifesting import Manifesting
from appliance.daemon.transitions import Transitions
from appliance.errors import FormatError, NotEnrolledError, SlipwayError, VaultRefusedError
from appliance.formats.spool_frame import Location
from appliance.ports import Journal, Row, SpoolReader, Transaction, Vault

log = logging.getLogger("slipway.relaying")

POLL_S = 5.0
LOOK_AGAIN_S = 1.0  # while objects are under way: for what has arrived since, and for the manifest
MANIFEST_EVERY_S = 1.0  # while a share grows; the page polls every two seconds
LONGEST_PAUSE_S = 60.0  # the line may be back any moment, and a patient stands there with a slip
REFUSED_PAUSE_S = 60.0  # the vault said no: a person must act, but it may then work by itself
DISK_LOST = "the disk lost images that were on their way up"  # an event; it is looked up
DELETED = (
    "the vault has deleted it, as its slip was out of date: discard it, and send its images again if they are wanted"
)
TURN_S = 5.0  # after so long another share comes first: a long study must not hold up the next patient's images
STEADY_AFTER = 8  # objects in a row: then several at once again, which a line that just failed may not bear


@dataclass(frozen=True)
class _Turn:
    """A share's last one. Seconds of the monotonic clock."""

    ended_at: float
    next_at: float
    grown_at: float | None  # the share as it was; when it has grown since, it need not wait. None: it must


class Relaying:
    def __init__(
        self,
        journal: Journal,
        spool: SpoolReader,
        vault: Vault,
        manifesting: Manifesting,
        transitions: Transitions,
        bell: Bell,
        monotonic: Callable[[], float],
        *,
        look_again_s: float = LOOK_AGAIN_S,
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._vault = vault
        self._manifesting = manifesting
        self._transitions = transitions
        self._bell = bell
        self._monotonic = monotonic
        self._look_again_s = look_again_s
        self._failures = 0
        self._stored_in_a_row = STEADY_AFTER
        self._published_at: dict[int, float] = {}
        self._turns: dict[int, _Turn] = {}

    async def run(self) -> None:
        listener = self._bell.listener()
        while True:
            pause = await self._round()
            if pause:
                await asyncio.sleep(pause)
            else:
                await listener.wait(self._look_again_s if self._turns else POLL_S)

    async def _round(self) -> float:
        """Turns until no share has anything to send; seconds to pause before the next round, 0 to wait for the bell."""
        try:
            while (share := await self._whose_turn()) is not None:
                await self._take_turn(share)
        except SlipwayError as error:
            if not error.retry and not isinstance(error, NotEnrolledError):
                raise
            return self._pause_after(error)
        self._failures = 0
        return 0

    def _pause_after(self, error: SlipwayError) -> float:
        if isinstance(error, NotEnrolledError):
            return POLL_S
        self._failures += 1
        self._stored_in_a_row = 0
        doubled = backoff_s(self._failures, random.random())  # noqa: S311 - spreads boxes, guards nothing
        pause = min(LONGEST_PAUSE_S, doubled)
        log.warning("%s; next try in %.0f s. %s", error.summary, pause, error.hint)
        return pause

    async def _whose_turn(self) -> Row | None:
        """The share that waited longest for one; a new one comes before all others."""
        shares = await self._journal.run(lambda tx: tx.all("shares_to_relay"))
        ids = {share["id"] for share in shares}
        self._turns = {share: turn for share, turn in self._turns.items() if share in ids}
        self._published_at = {share: at for share, at in self._published_at.items() if share in ids}
        due = [share for share in shares if self._is_due(share)]
        return min(due, key=self._last_turn_at, default=None)

    def _is_due(self, share: Row) -> bool:
        turn = self._turns.get(share["id"])
        if turn is None or self._monotonic() >= turn.next_at:
            return True
        return turn.grown_at is not None and turn.grown_at != share["grown_at"]

    def _last_turn_at(self, share: Row) -> float:
        turn = self._turns.get(share["id"])
        return turn.ended_at if turn else float("-inf")

    async def _take_turn(self, share: Row) -> None:
        """A share that the vault refuses, or that the disk does not give back, must not stop the others."""
        grown_at: float | None = share["grown_at"]
        try:
            pause = 0.0 if await self._relay_share(share) else self._look_again_s
        except VaultRefusedError as error:
            log.error("%s. %s", error.summary, error.hint)
            if error.code == "share_deleted":
                await self._journal.run(lambda tx: self._transitions.vault_refuses(tx, share["id"], DELETED))
            pause, grown_at = REFUSED_PAUSE_S, None
        except FormatError as error:
            log.error("%s, and with it images that were on their way up. Check the disk (dmesg).", error.summary)
            await self._journal.run(lambda tx: self._note_loss(tx, share["id"]))
            pause, grown_at = REFUSED_PAUSE_S, None
        now = self._monotonic()
        self._turns[share["id"]] = _Turn(now, now + pause, grown_at)

    def _note_loss(self, tx: Transaction, share: int) -> None:
        """Once: it is tried again for ever."""
        if tx.first("event_of_share", share=share, what=DISK_LOST) is None:
            self._transitions.note(tx, share, DISK_LOST)

    async def _relay_share(self, share: Row) -> bool:
        """Send what waits, for one turn; whether there is more."""
        if not share["at_vault"]:
            await self._vault.put_share(share["share_id"])
            await self._journal.run(lambda tx: self._transitions.at_vault(tx, share["id"]))
        until = self._monotonic() + TURN_S
        sending: dict[asyncio.Task[None], int] = {}
        try:
            while True:
                more = await self._fill(share, sending, starting=self._monotonic() < until)
                if not sending:
                    break
                await self._wait_for_some(sending)
                await self._publish_if_due(share["id"])
        finally:
            await _end(sending)
        await self._publish_if_due(share["id"])
        return more

    async def _fill(self, share: Row, sending: dict[asyncio.Task[None], int], *, starting: bool) -> bool:
        """Start as many objects as may be under way; whether there are more than that."""
        room = (IN_FLIGHT if self._stored_in_a_row >= STEADY_AFTER else 1) - len(sending)
        if room <= 0:
            return True
        under_way = set(sending.values())
        objects = await self._journal.run(lambda tx: self._next_objects(tx, share["id"], under_way, room))
        if not starting:
            return bool(objects)
        for row in objects:
            sending[asyncio.create_task(self._send(share, row))] = row["number"]
        return False

    async def _wait_for_some(self, sending: dict[asyncio.Task[None], int]) -> None:
        """Until one has ended. A failure is raised when all have: what is nearly up need not go again."""
        done, _ = await asyncio.wait(sending, timeout=self._look_again_s, return_when=asyncio.FIRST_COMPLETED)
        if any(task.exception() for task in done):
            done, _ = await asyncio.wait(sending)
        for task in done:
            del sending[task]
        failures = [task.exception() for task in done]  # of each: an error that nobody asks for would end the box
        for failure in filter(None, failures):
            raise failure

    async def _send(self, share: Row, row: Row) -> None:
        data = await asyncio.to_thread(self._read, await self._locations(row))
        await self._vault.put_object(share["share_id"], row["number"], data)
        await self._journal.run(lambda tx: self._stored(tx, row))
        self._stored_in_a_row += 1

    async def _locations(self, row: Row) -> list[Location]:
        def find(tx: Transaction) -> list[Location]:
            found = []
            for instance, first, last, _, _ in json.loads(row["parts"]):
                pieces = json.loads(tx.one("instance", id=instance)["segments"])
                found += [Location(*piece) for piece in pieces[first : last + 1]]
            return found

        return await self._journal.run(find)

    def _read(self, locations: list[Location]) -> bytes:
        whole = io.BytesIO()  # gives its bytes away without a copy; a join would hold all pieces beside them
        whole.seek(sum(location.length for location in locations) - 1)
        whole.write(b"\0")  # its room at once: growing takes an eighth too much
        whole.seek(0)
        for location in locations:
            whole.write(self._spool.read(location))
        return whole.getvalue()

    def _next_objects(self, tx: Transaction, share: int, under_way: set[int], room: int) -> list[Row]:
        """Objects not confirmed by the vault and not under way; new ones are packed for the room left."""
        if tx.one("share", id=share)["state"] != ShareState.OPEN:  # revoked since
            return []
        waiting = tx.all("waiting_objects", share=share, limit=room + len(under_way))
        objects = [row for row in waiting if row["number"] not in under_way][:room]
        while len(objects) < room and (parts := self._pack(tx, share)):
            objects.append(self._add_object(tx, share, parts))
        return objects

    def _add_object(self, tx: Transaction, share: int, parts: tuple[Part, ...]) -> Row:
        number = tx.one("next_object_number", share=share)["number"]
        written = json.dumps([[p.instance, p.first, p.last, p.offset, p.length] for p in parts])
        tx.do("add_object", share=share, number=number, parts=written, size=sum(part.length for part in parts))
        for part in parts:
            tx.do("set_packed", id=part.instance, packed=part.last + 1)
        return tx.one("object", share=share, number=number)

    def _pack(self, tx: Transaction, share: int) -> tuple[Part, ...]:
        waiting = []
        for row in tx.all("unpacked_instances", share=share):
            lengths = tuple(length for _, _, length in json.loads(row["segments"]))
            waiting.append(Waiting(row["id"], lengths, row["packed"]))
        return pack(waiting, OBJECT_BYTES)

    def _stored(self, tx: Transaction, row: Row) -> None:
        if tx.one("share", id=row["share"])["state"] != ShareState.OPEN:  # revoked since: its rows may be gone
            return
        tx.do("object_stored", share=row["share"], number=row["number"])
        for instance, *_ in json.loads(row["parts"]):
            found = tx.one("instance", id=instance)
            waiting = tx.one("unstored_parts", share=row["share"], instance=instance)["n"]
            if found["packed"] == len(json.loads(found["segments"])) and not waiting:
                tx.do("instance_relayed", id=instance)
        tx.do("share_dirty", id=row["share"])

    async def _publish_if_due(self, share: int) -> None:
        """The manifest that is owed, at once if the last one is not too recent."""
        now = self._monotonic()
        if now - self._published_at.get(share, -MANIFEST_EVERY_S) < MANIFEST_EVERY_S:
            return
        manifest = await self._manifesting.next(share)
        if manifest is not None:
            await self._vault.put_manifest(manifest.share_id, manifest.generation, manifest.sealed)
            await self._manifesting.published(manifest)
            self._published_at[share] = now


async def _end(sending: dict[asyncio.Task[None], int]) -> None:
    """What is still under way when a turn breaks off."""
    for task in sending:
        task.cancel()
    await asyncio.gather(*sending, return_exceptions=True)
