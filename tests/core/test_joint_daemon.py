"""The model of joint states does what the daemon does: both take the same random walks and stay the same."""

from __future__ import annotations

import random
import sqlite3

import pytest

from appliance.adapters.journal import SqliteTransaction, migrate, read_statements, read_steps
from appliance.core.identity import Identity
from appliance.core.link import LinkEvent
from appliance.core.share import ShareEvent, ShareState
from appliance.core.slip import SlipEvent
from appliance.core.table import Effect
from appliance.daemon.minting import LinkTerms, ShareSecrets, When, seal_share
from appliance.daemon.transitions import Transitions
from appliance.errors import NotPossibleError
from appliance.formats.envelope import FactorKind
from appliance.formats.sealed import Sealer
from tests.core.joint import Joint, born, on_link, on_share, on_slip, quiet

SHARE_ID = bytes(16)


class Box:
    """The daemon's transitions over a journal in memory, with one share."""

    def __init__(self, state: ShareState, *, waits: bool, pin: bool) -> None:
        self._connection = sqlite3.connect(":memory:")
        self._connection.row_factory = sqlite3.Row
        migrate(self._connection, read_steps())
        self._tx = SqliteTransaction(self._connection, read_statements())
        sealer = Sealer(bytes(32))
        terms = LinkTerms(
            FactorKind.PIN if pin else FactorKind.NONE, 7, 14, When.COMPLETE if waits else When.FIRST_IMAGE
        )
        self._transitions = Transitions({"SLIPWAY": terms}, sealer, lambda: 0.0)
        secrets = ShareSecrets(Identity("1", "", "Rivers^Ada", "19700131"), bytes(32))
        self._share = self._tx.one(
            "add_share",
            share_id=SHARE_ID,
            state=str(state),
            profile="SLIPWAY",
            patient_key=b"",
            sealed=seal_share(SHARE_ID, secrets, sealer),
            display=b"",
            held_because="",
            now=0.0,
            visit_ends_at=1.0,
        )["id"]
        self._study = self._tx.one("add_study", share=self._share, study_key=b"", uid=None, now=0.0)["id"]
        self.share(ShareEvent.OPENED)

    def close(self) -> None:
        self._connection.close()

    def share(self, event: ShareEvent) -> None:
        self._transitions.share(self._tx, self._share, event)

    def link(self, n: int, event: LinkEvent) -> None:
        self._transitions.link(self._tx, self._tx.all("links", share=self._share)[n]["id"], event)

    def slip(self, n: int, event: SlipEvent) -> None:
        link = self._tx.all("links", share=self._share)[n]["id"]
        (slip,) = self._tx.all("slips_of_link", link=link)
        self._transitions.slip(self._tx, slip["id"], event)

    def study(self, state: str) -> None:
        self._tx.do("set_study_state", id=self._study, state=state, source="")
        if state == "quiet":
            self._transitions.mint_waiting(self._tx, self._share)

    def picture(self) -> tuple[object, ...]:
        links = self._tx.all("links", share=self._share)
        numbers = {row["id"]: n for n, row in enumerate(links)}
        return (
            self._tx.one("share", id=self._share)["state"],
            [(row["state"], row["sealed"] is not None) for row in links],
            [row["state"] for row in self._tx.all("slips_of_share", share=self._share)],
            sorted(
                (row["kind"], numbers.get(row["link"], -1))
                for row in self._tx.all("effects_of_share", share=self._share)
            ),
        )


def picture(joint: Joint) -> tuple[object, ...]:
    about_share = (Effect.MINT_LINK, Effect.DELETE_SHARE)
    return (
        joint.share,
        [(link.state, link.secret) for link in joint.links],
        [slip for slip, link in zip(joint.slips, joint.links, strict=True) if not link.keeps],
        sorted((post.effect, -1 if post.effect in about_share else post.link) for post in joint.outbox),
    )


def walk(seed: int, start: ShareState, *, waits: bool, pin: bool) -> int:
    """Random events, possible or not, until the links are six; how many were possible."""
    chance, joint, possible = random.Random(seed), born(start, waits=waits, pin=pin), 0
    box = Box(start, waits=waits, pin=pin)
    for _ in range(60):
        if len(joint.links) >= 6:
            break
        n = chance.randrange(len(joint.links)) if joint.links else -1
        about = chance.choice(("share", "link", "slip", "study") if joint.links else ("share", "study"))
        if about == "slip" and joint.links[n].keeps:
            continue  # it has none
        try:
            after = joint
            if about == "study":
                state = chance.choice(("arriving", "quiet"))
                after = after._replace(arriving=waits and state == "arriving")
                after = quiet(after) if state == "quiet" and after.share is ShareState.OPEN else after
                if after.share is ShareState.OPEN:
                    joint = after
                    box.study(state)
            elif about == "share":
                event = chance.choice([event for event in ShareEvent if event is not ShareEvent.OPENED])
                joint = on_share(joint, event)
                box.share(event)
            elif about == "link":
                event = chance.choice([event for event in LinkEvent if event is not LinkEvent.MINTED])
                joint = on_link(joint, n, event)
                box.link(n, event)
            else:
                event = chance.choice(list(SlipEvent))
                joint = on_slip(joint, n, event)
                box.slip(n, event)
        except NotPossibleError:
            continue
        possible += 1
        assert picture(joint) == box.picture(), about
    box.close()
    return possible


@pytest.mark.parametrize(("waits", "pin"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("start", [ShareState.OPEN, ShareState.HELD])
def test_the_model_and_the_daemon_stay_the_same_on_every_walk(start, waits, pin):
    assert sum(walk(seed, start, waits=waits, pin=pin) for seed in range(60)) > 600
