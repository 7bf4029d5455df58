"""Tells the vault of links: registers, renews and destroys them, from the outbox, until it has answered."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable
from functools import partial

from appliance.core.link import LinkEvent, LinkState
from appliance.core.relay import backoff_s
from appliance.core.table import Effect
from appliance.daemon import notes
from appliance.daemon.bell import Bell
from appliance.daemon.minting import open_link
from appliance.daemon.transitions import Transitions
from appliance.errors import NotEnrolledError, SlipwayError, VaultRefusedError
from appliance.formats.sealed import Sealer
from appliance.ports import Journal, LinkRegistration, RegisteredLink, Row, Transaction, Vault

log = logging.getLogger("slipway.linking")

POLL_S = 5.0
KINDS = json.dumps([Effect.REGISTER_LINK, Effect.DESTROY_LINK, Effect.RENEW_LINK, Effect.DELETE_SHARE])
GONE = ("share_unknown", "share_deleted", "link_unknown", "link_revoked")  # what was to be destroyed is
BOX_REFUSED = ("device_unknown", "device_revoked", "signature_wrong")  # until the box is enrolled again
LONGEST_PAUSE_S = 30.0  # somebody waits for a slip, or for one to be dead
REFUSED_PAUSE_S = 60.0


class Linking:
    def __init__(
        self,
        journal: Journal,
        vault: Vault,
        transitions: Transitions,
        sealer: Sealer,
        bell: Bell,
        clock: Callable[[], float],
        *,
        poll_s: float = POLL_S,
    ) -> None:
        self._journal = journal
        self._vault = vault
        self._transitions = transitions
        self._sealer = sealer
        self._bell = bell
        self._clock = clock
        self._poll_s = poll_s

    async def run(self) -> None:
        listener = self._bell.listener()
        while True:
            now = self._clock()
            due = await self._journal.run(lambda tx: tx.all("due_effects", kinds=KINDS, now=now, limit=20))  # noqa: B023
            for effect in due:
                await self._try(effect)
            if not due:
                await listener.wait(self._poll_s)

    async def _try(self, effect: Row) -> None:
        try:
            await self._carry_out(effect)
        except VaultRefusedError as refusal:
            if refusal.code in BOX_REFUSED:  # no word on this link: dropping it would lose a slip, or leave one alive
                await self._put_off(effect, refusal, REFUSED_PAUSE_S)
            else:
                await self._journal.run(partial(self._refused, effect=effect, error=refusal))
        except SlipwayError as error:
            if not error.retry and not isinstance(error, NotEnrolledError):
                raise
            doubled = backoff_s(effect["failures"] + 1, random.random())  # noqa: S311 - spreads boxes only
            await self._put_off(effect, error, min(LONGEST_PAUSE_S, doubled))
        self._bell.ring()

    async def _put_off(self, effect: Row, error: SlipwayError, pause: float) -> None:
        log.warning("%s; next try in %.0f s. %s", error.summary, pause, error.hint)
        later = self._clock() + pause
        await self._journal.run(lambda tx: tx.do("effect_failed", id=effect["id"], not_before=later))

    async def _carry_out(self, effect: Row) -> None:
        share = await self._journal.run(lambda tx: tx.one("share", id=effect["share"]))
        kind = Effect(effect["kind"])
        if kind is Effect.DELETE_SHARE:
            await self._vault.delete_share(share["share_id"])
            await self._journal.run(lambda tx: tx.do("effect_done", id=effect["id"]))
            return
        link = await self._journal.run(lambda tx: tx.one("link", id=effect["link"]))
        if kind is Effect.REGISTER_LINK:
            await self._register(effect, share, link)
        elif kind is Effect.DESTROY_LINK:
            await self._vault.delete_link(share["share_id"], link["link_id"])
            await self._journal.run(lambda tx: tx.do("effect_done", id=effect["id"]))
        else:
            expires_at = await self._vault.renew_link(share["share_id"], link["link_id"], link["expires_in_s"])
            await self._journal.run(lambda tx: self._renewed(tx, effect, expires_at))

    async def _register(self, effect: Row, share: Row, link: Row) -> None:
        if link["state"] != LinkState.REGISTERING or link["sealed"] is None:  # revoked while it waited here
            await self._journal.run(lambda tx: tx.do("effect_done", id=effect["id"]))
            return
        secrets = open_link(link, self._sealer)
        if not share["at_vault"]:
            await self._vault.put_share(share["share_id"])
        answer = await self._vault.put_link(
            LinkRegistration(
                share_id=share["share_id"],
                link_id=link["link_id"],
                verifier=secrets.verifier,
                factor=link["factor"],
                share_key=secrets.share_key,
                envelope=secrets.envelope,
                expires_in_s=link["expires_in_s"],
                grace_s=link["grace_s"],
            )
        )
        await self._journal.run(lambda tx: self._registered(tx, effect, answer))

    def _registered(self, tx: Transaction, effect: Row, answer: RegisteredLink) -> None:
        self._transitions.at_vault(tx, effect["share"])
        tx.do("link_registered", id=effect["link"], expires_at=answer.expires_at, public_url=answer.public_url)
        self._transitions.note(tx, effect["share"], notes.good_until(answer.expires_at))
        self._transitions.link(tx, effect["link"], LinkEvent.REGISTERED)
        tx.do("effect_done", id=effect["id"])

    def _renewed(self, tx: Transaction, effect: Row, expires_at: float) -> None:
        tx.do("link_renewed", id=effect["link"], expires_at=expires_at)
        self._transitions.note(tx, effect["share"], notes.good_until(expires_at))
        tx.do("effect_done", id=effect["id"])

    def _refused(self, tx: Transaction, effect: Row, error: VaultRefusedError) -> None:
        kind = Effect(effect["kind"])
        destroying = kind in (Effect.DESTROY_LINK, Effect.DELETE_SHARE)
        if not (destroying and error.code in GONE):
            log.error("%s (%s). %s", error.summary, kind, error.hint)
            self._transitions.note(tx, effect["share"], f"{kind}: {error.summary}")
        if kind is Effect.REGISTER_LINK:
            self._transitions.link(tx, effect["link"], LinkEvent.REFUSED)
        elif kind is Effect.RENEW_LINK and error.code in GONE:  # its grace period was over: the paper is dead
            self._transitions.link(tx, effect["link"], LinkEvent.REVOKED)
        tx.do("effect_done", id=effect["id"])
