"""Carries shares up to the vault while they are still arriving: numbered objects, several in flight, then manifests.

What an object holds is journalled before its first byte leaves, so after any crash the same bytes go under the same
number. A manifest lists only what the vault has confirmed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable

from appliance.core.relay import IN_FLIGHT, OBJECT_BYTES, Part, Waiting, backoff_s, pack
from appliance.daemon.bell import Bell
from appliance.daemon.manifesting import Manifesting
from appliance.errors import NotEnrolledError, SlipwayError, VaultRefusedError, VaultUnreachableError
from appliance.formats.spool_frame import Location
from appliance.ports import Journal, Row, SpoolReader, Transaction, Vault

log = logging.getLogger("slipway.relaying")

POLL_S = 5.0
MANIFEST_EVERY_S = 1.0  # while a share grows; the page polls every two seconds
REFUSED_PAUSE_S = 60.0  # the vault said no: a person must act, but it may then work by itself


class Relaying:
    def __init__(
        self,
        journal: Journal,
        spool: SpoolReader,
        vault: Vault,
        manifesting: Manifesting,
        bell: Bell,
        monotonic: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._vault = vault
        self._manifesting = manifesting
        self._bell = bell
        self._monotonic = monotonic
        self._failures = 0
        self._published_at: dict[int, float] = {}
        self._refused_until: dict[int, float] = {}

    async def run(self) -> None:
        listener = self._bell.listener()
        while True:
            pause = await self._round()
            if pause:
                await asyncio.sleep(pause)
            else:
                await listener.wait(self._next_poll_s())

    def _next_poll_s(self) -> float:
        return MANIFEST_EVERY_S if self._published_at else POLL_S

    async def _round(self) -> float:
        """One look at all that waits; seconds to pause before the next, 0 to wait for the bell."""
        try:
            for share in await self._journal.run(lambda tx: tx.all("shares_to_relay")):
                await self._try_share(share)
        except NotEnrolledError:
            return POLL_S
        except VaultUnreachableError as error:
            self._failures += 1
            pause = backoff_s(self._failures, random.random())  # noqa: S311 - spreads boxes, guards nothing
            log.warning("%s; next try in %.0f s. %s", error.summary, pause, error.hint)
            return pause
        self._failures = 0
        return 0

    async def _try_share(self, share: Row) -> None:
        """A share that the vault refuses must not stop the others."""
        if self._monotonic() < self._refused_until.get(share["id"], 0):
            return
        try:
            await self._relay_share(share)
        except VaultRefusedError as error:
            log.error("%s. %s", error.summary, error.hint)
            self._refused_until[share["id"]] = self._monotonic() + REFUSED_PAUSE_S

    async def _relay_share(self, share: Row) -> None:
        if not share["at_vault"]:
            await self._vault.put_share(share["share_id"])
            await self._journal.run(lambda tx: tx.do("share_at_vault", id=share["id"]))
        while await self._send_some(share):
            await self._publish_if_due(share["id"], waiting=True)
        await self._publish_if_due(share["id"], waiting=False)

    async def _send_some(self, share: Row) -> bool:
        """Send up to IN_FLIGHT objects; whether there was one."""
        objects = await self._journal.run(lambda tx: self._next_objects(tx, share["id"]))
        try:
            async with asyncio.TaskGroup() as group:
                for row in objects:
                    group.create_task(self._send(share, row))
        except* SlipwayError as errors:
            raise errors.exceptions[0] from None
        return bool(objects)

    async def _send(self, share: Row, row: Row) -> None:
        data = await asyncio.to_thread(self._read, await self._locations(row))
        await self._vault.put_object(share["share_id"], row["number"], data)
        await self._journal.run(lambda tx: self._stored(tx, row))

    async def _locations(self, row: Row) -> list[Location]:
        def find(tx: Transaction) -> list[Location]:
            found = []
            for instance, first, last, _, _ in json.loads(row["parts"]):
                segments = json.loads(tx.one("instance", id=instance)["segments"])
                found += [Location(*segment) for segment in segments[first : last + 1]]
            return found

        return await self._journal.run(find)

    def _read(self, locations: list[Location]) -> bytes:
        return b"".join(self._spool.read(location) for location in locations)

    def _next_objects(self, tx: Transaction, share: int) -> list[Row]:
        """Objects that the vault has not confirmed; new ones are packed while there is room in flight."""
        objects = tx.all("waiting_objects", share=share, limit=IN_FLIGHT)
        while len(objects) < IN_FLIGHT and (parts := self._pack(tx, share)):
            number = tx.one("next_object_number", share=share)["number"]
            packed = json.dumps([[p.instance, p.first, p.last, p.offset, p.length] for p in parts])
            tx.do("add_object", share=share, number=number, parts=packed, size=sum(p.length for p in parts))
            for part in parts:
                tx.do("set_packed", id=part.instance, packed=part.last + 1)
            objects.append(tx.one("object", share=share, number=number))
        return objects

    def _pack(self, tx: Transaction, share: int) -> tuple[Part, ...]:
        waiting = []
        for row in tx.all("unpacked_instances", share=share):
            lengths = tuple(length for _, _, length in json.loads(row["segments"]))
            waiting.append(Waiting(row["id"], lengths, row["packed"]))
        return pack(waiting, OBJECT_BYTES)

    def _stored(self, tx: Transaction, row: Row) -> None:
        tx.do("object_stored", share=row["share"], number=row["number"])
        for instance, _, last, _, _ in json.loads(row["parts"]):
            count = len(json.loads(tx.one("instance", id=instance)["segments"]))
            packed = tx.one("instance", id=instance)["packed"]
            waiting = tx.one("unstored_parts", share=row["share"], instance=instance)["n"]
            if packed == count and not waiting and last < count:
                tx.do("instance_relayed", id=instance)
        tx.do("share_dirty", id=row["share"])

    async def _publish_if_due(self, share: int, *, waiting: bool) -> None:
        """Publish at once when nothing else waits and the last manifest is not too recent; else every second."""
        now = self._monotonic()
        if now - self._published_at.get(share, -MANIFEST_EVERY_S) < MANIFEST_EVERY_S:
            return
        manifest = await self._manifesting.next(share)
        if manifest is None:
            if not waiting:
                self._published_at.pop(share, None)
            return
        await self._vault.put_manifest(manifest.share_id, manifest.generation, manifest.sealed)
        await self._manifesting.published(manifest)
        self._published_at[share] = now
