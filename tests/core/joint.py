"""One share with its links and slips, the vault and the printer, in memory: every joint state that can be reached.

The tables are the core's own. What surrounds them is written after `daemon/transitions.py` (how effects are carried
out), `linking.py`, `printing.py` and `sweeping.py` (when events come), with nothing left to chance: whatever those
may do next, in any order, is a step. `test_joint_daemon.py` holds the model to the daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, NamedTuple

from appliance.core.link import LINKS, LinkEvent, LinkState
from appliance.core.share import SHARES, ShareEvent, ShareState
from appliance.core.slip import SLIPS, SlipEvent, SlipState
from appliance.core.table import Effect
from appliance.errors import NotPossibleError

OUTSIDE = (Effect.REGISTER_LINK, Effect.DESTROY_LINK, Effect.RENEW_LINK, Effect.DELETE_SHARE, Effect.PRINT_SLIP)
MAY_BE_PAPER = (SlipState.PRINTING, SlipState.UNCONFIRMED, SlipState.PRINTED, SlipState.UNKNOWN)
WAITING = {SlipState.QUEUED, SlipState.OVERDUE, SlipState.PRINTING, SlipState.UNCONFIRMED}  # their share stays open
HANDED_OUT = (SlipState.UNCONFIRMED, SlipState.PRINTED)
NOT_DESTROYED = (LinkState.REGISTERING, LinkState.ACTIVE, LinkState.EXPIRED)


class AtVault(Enum):
    """What the vault holds of a link."""

    NOTHING = "-"
    ACTIVE = "a"
    EXPIRED = "e"
    DESTROYED = "d"


class Link(NamedTuple):
    state: LinkState = LinkState.REGISTERING
    at_vault: AtVault = AtVault.NOTHING
    past: bool = False  # the expiry that the journal knows is over
    secret: bool = True
    ran_out: bool = False  # past its grace period, and its paper had been printed
    locked: bool = False  # its slip is not printed before its patient's wristband was scanned
    told: bool = False  # a staff slip has told its PIN
    keeps: bool = False  # on no paper: it keeps a share that was taken back at the vault; its slip here is no slip


class Post(NamedTuple):
    """A row of the outbox. `asked`: the request is on its way, its answer not yet journalled."""

    effect: Effect
    link: int = -1
    asked: bool = False


class Joint(NamedTuple):
    """Slip n is the paper of link n, as `minting.mint` makes them."""

    share: ShareState
    waits: bool = False  # the profile prints when the study is complete
    arriving: bool = False  # only followed where the profile waits
    interlock: bool = False  # the profile asks for the wristband
    pin: bool = False  # its links have a PIN
    deleted: bool = False  # the share, at the vault
    links: tuple[Link, ...] = ()
    slips: tuple[SlipState, ...] = ()
    outbox: tuple[Post, ...] = ()
    at_printer: int = -1
    ran_out: bool = False  # a link that was on paper is past its grace period
    minted: bool = False
    faults: tuple[str, ...] = ()  # what must not happen and did, in the step that led here

    @property
    def live_slips(self) -> list[int]:
        """Papers that may exist and whose link opens the share, or can be made to by renewing it."""
        return [n for n, slip in enumerate(self.slips) if slip in MAY_BE_PAPER and self.links[n].state in NOT_DESTROYED]


def born(state: ShareState, *, waits: bool = False, interlock: bool = False, pin: bool = False) -> Joint:
    """As `placing._open_share`: the first instance joins, then OPENED."""
    return on_share(Joint(state, waits, arriving=waits, interlock=interlock, pin=pin), ShareEvent.OPENED)


# -- transitions.py ------------------------------------------------------------------------------------------------


def on_share(joint: Joint, event: ShareEvent) -> Joint:
    state, effects = SHARES.advance(joint.share, event)
    return _carry_out(joint._replace(share=state), effects)


def on_link(joint: Joint, n: int, event: LinkEvent) -> Joint:
    state, effects = LINKS.advance(joint.links[n].state, event)
    ran_out = event is LinkEvent.GRACE_ENDED and joint.slips[n] in HANDED_OUT
    joint = _link(joint, n, state=state, ran_out=joint.links[n].ran_out or ran_out)
    return _carry_out(joint, effects, n)


def on_slip(joint: Joint, n: int, event: SlipEvent) -> Joint:
    state, effects = SLIPS.advance(joint.slips[n], event)
    return _carry_out(joint._replace(slips=_put(joint.slips, n, state)), effects, n)


def _carry_out(joint: Joint, effects: tuple[Effect, ...], n: int = -1) -> Joint:
    for effect in effects:
        joint = _carry_out_one(joint, effect, n)
    return joint


def _carry_out_one(joint: Joint, effect: Effect, n: int) -> Joint:
    if effect is Effect.PRINT_SLIP and joint.slips[n] is not SlipState.QUEUED:
        return joint
    if effect is Effect.PRINT_STAFF_SLIP:
        forgotten = joint.share in (ShareState.CLOSED, ShareState.REVOKED)
        return _post(joint, effect, n) if joint.pin and not forgotten else joint
    if effect in OUTSIDE:
        return _post(joint, effect, n)
    return INSIDE[effect](joint, n)


def _mint_or_wait(joint: Joint, _: int = -1) -> Joint:
    if not (joint.waits and joint.arriving and not joint.links):
        return _mint(joint)
    return joint if _mint_waits(joint) else _post(joint, Effect.MINT_LINK)


def _mint_waits(joint: Joint) -> bool:
    return any(post.effect is Effect.MINT_LINK for post in joint.outbox)


def _mint(joint: Joint) -> Joint:
    """One link, whoever asked for one and however often."""
    joint = joint._replace(outbox=tuple(post for post in joint.outbox if post.effect is not Effect.MINT_LINK))
    if joint.share is not ShareState.OPEN:
        joint = joint._replace(faults=(*joint.faults, f"a link was minted for a share that is {joint.share}"))
    link = Link(locked=joint.interlock)
    joint = joint._replace(minted=True, links=(*joint.links, link), slips=(*joint.slips, SlipState.QUEUED))
    return on_link(joint, len(joint.links) - 1, LinkEvent.MINTED)


def _keep_at_vault(joint: Joint, _: int) -> Joint:
    """As `keeping.keep`; a share that never had a link is not at the vault."""
    if not joint.minted:
        return joint
    joint = joint._replace(links=(*joint.links, Link(keeps=True)), slips=(*joint.slips, SlipState.VOID))
    return on_link(joint, len(joint.links) - 1, LinkEvent.MINTED)


def _revoke_links(joint: Joint, _: int) -> Joint:
    joint = joint._replace(outbox=tuple(post for post in joint.outbox if post.effect is not Effect.MINT_LINK))
    for n in range(len(joint.links)):
        joint = on_link(joint, n, LinkEvent.REVOKED)
    return joint


def _forget_keys(joint: Joint, _: int) -> Joint:
    outbox = tuple(post for post in joint.outbox if post.effect is not Effect.MINT_LINK)
    return joint._replace(links=tuple(link._replace(secret=False) for link in joint.links), outbox=outbox)


INSIDE: dict[Effect, Callable[[Joint, int], Joint]] = {
    Effect.MINT_LINK: _mint_or_wait,
    Effect.REPLACE_LINK: lambda joint, _: on_share(joint, ShareEvent.LINK_LOST),
    Effect.HOLD_SHARE: lambda joint, _: on_share(joint, ShareEvent.LINK_REFUSED),
    Effect.REVOKE_LINKS: _revoke_links,
    Effect.KEEP_AT_VAULT: _keep_at_vault,
    Effect.REVOKE_LINK: lambda joint, n: on_link(joint, n, LinkEvent.REVOKED),
    Effect.VOID_SLIPS: lambda joint, n: on_slip(joint, n, SlipEvent.VOIDED),
    Effect.FORGET_SECRET: lambda joint, n: _link(joint, n, secret=False),
    Effect.FORGET_KEYS: _forget_keys,
    Effect.RELAY: lambda joint, _: joint,
}


# -- linking.py: one request at a time, in any order (one that fails waits while others go) ------------------------


def linking(joint: Joint) -> Iterator[tuple[str, Joint]]:
    asked = [post for post in joint.outbox if post.asked]
    for post in asked or [post for post in joint.outbox if post.effect in OUTSIDE]:
        if post.effect is Effect.REGISTER_LINK:
            yield from _register(joint, post)
        elif post.effect is Effect.RENEW_LINK:
            yield from _renew(joint, post)
        elif post.effect is Effect.DESTROY_LINK and not _awaits_successor(joint, post):
            yield f"vault destroys {post.link}", _done(_link(joint, post.link, at_vault=AtVault.DESTROYED), post)
        elif post.effect is Effect.DELETE_SHARE:
            gone = tuple(link._replace(at_vault=AtVault.DESTROYED) for link in joint.links)
            yield "vault deletes the share", _done(joint._replace(links=gone, deleted=True), post)


def _awaits_successor(joint: Joint, post: Post) -> bool:
    return any(other.effect is Effect.REGISTER_LINK and other.link != post.link for other in joint.outbox)


def _register(joint: Joint, post: Post) -> Iterator[tuple[str, Joint]]:
    link, n = joint.links[post.link], post.link
    if post.asked:
        if link.at_vault is AtVault.NOTHING or link.at_vault is AtVault.DESTROYED:
            yield f"{n} refused", on_link(_done(joint, post), n, LinkEvent.REFUSED)
        else:
            yield f"{n} registered", on_link(_done(joint, post), n, LinkEvent.REGISTERED)
            # The vault refuses for a reason of its own what it took a moment ago: its first answer was lost.
            yield f"{n} taken, then refused", on_link(_done(joint, post), n, LinkEvent.REFUSED)
        yield f"{n} no answer", _swap(joint, post, post._replace(asked=False))
    elif link.state is not LinkState.REGISTERING or not link.secret:
        yield f"{n} need not be registered", _done(joint, post)
    else:
        sent = _swap(joint, post, post._replace(asked=True))
        if link.at_vault is AtVault.NOTHING and not joint.deleted:
            yield f"vault takes {n}", _link(sent, n, at_vault=AtVault.ACTIVE)
        yield f"{n} sent", sent


def _renew(joint: Joint, post: Post) -> Iterator[tuple[str, Joint]]:
    if joint.links[post.link].at_vault in (AtVault.ACTIVE, AtVault.EXPIRED):
        renewed = _link(joint, post.link, at_vault=AtVault.ACTIVE, past=False)
        yield f"vault renews {post.link}", _done(renewed, post)
    else:  # its grace period was over
        refused = _done(joint, post)
        refused = _link(refused, post.link, ran_out=refused.slips[post.link] in HANDED_OUT)
        yield f"vault cannot renew {post.link}", on_link(refused, post.link, LinkEvent.REVOKED)


# -- printing.py: one paper at a time ------------------------------------------------------------------------------


def printing(joint: Joint) -> Iterator[tuple[str, Joint]]:
    n = joint.at_printer
    if n >= 0:
        for event in (SlipEvent.CONFIRMED, SlipEvent.TAKEN, SlipEvent.REFUSED, SlipEvent.LOST):
            yield f"slip {n} {event}", on_slip(joint._replace(at_printer=-1), n, event)
        return
    for post in joint.outbox:
        if post.effect is Effect.PRINT_STAFF_SLIP:
            yield _tell_pin(joint, post)  # refused or in doubt: nothing changes, it is printed again
    if any(post.effect is Effect.DESTROY_LINK for post in joint.outbox):
        return  # an older slip may still work
    for post in joint.outbox:
        if post.effect is Effect.PRINT_SLIP and not at_interlock(joint, post.link):
            yield from _take_to_printer(joint, post)


def _tell_pin(joint: Joint, post: Post) -> tuple[str, Joint]:
    n, done = post.link, _done(joint, post)
    if joint.slips[n] in HANDED_OUT and joint.links[n].state is not LinkState.DESTROYED:
        return f"PIN of {n} told", _link(done, n, told=True)
    return f"PIN of {n} is not to be told", done


def _take_to_printer(joint: Joint, post: Post) -> Iterator[tuple[str, Joint]]:
    n, link, done = post.link, joint.links[post.link], _done(joint, post)
    if joint.slips[n] is not SlipState.QUEUED:
        yield f"slip {n} is not to be printed", done
    elif link.state is LinkState.ACTIVE and link.secret:
        yield f"slip {n} started", on_slip(done, n, SlipEvent.STARTED)._replace(at_printer=n)
    else:
        yield f"slip {n} came too late", on_slip(done, n, SlipEvent.OUTDATED)
    if joint.slips[n] is SlipState.QUEUED:
        yield f"slip {n} kept back", on_slip(done, n, SlipEvent.DELAYED)


# -- interlock.py --------------------------------------------------------------------------------------------------


def at_interlock(joint: Joint, n: int) -> bool:
    return joint.links[n].locked and joint.slips[n] is SlipState.QUEUED


def interlock(joint: Joint) -> Iterator[tuple[str, Joint]]:
    for n in range(len(joint.links)):
        if at_interlock(joint, n):
            yield f"wristband of {n}", _link(joint, n, locked=False)


# -- slip_desk.py: staff, or their silence -------------------------------------------------------------------------


def desk(joint: Joint) -> Iterator[tuple[str, Joint]]:
    for n, slip in enumerate(joint.slips):
        if slip is SlipState.UNCONFIRMED:
            for event in (SlipEvent.CONFIRMED, SlipEvent.PRESUMED, SlipEvent.LOST):
                yield f"staff: slip {n} {event}", on_slip(joint, n, event)
        elif slip is SlipState.OVERDUE:
            yield f"staff: slip {n} released", on_slip(joint, n, SlipEvent.RELEASED)


# -- sweeping.py and time ------------------------------------------------------------------------------------------


def sweeping(joint: Joint) -> Iterator[tuple[str, Joint]]:
    for n, link in enumerate(joint.links):
        if link.at_vault is AtVault.ACTIVE and link.state in (LinkState.ACTIVE, LinkState.EXPIRED):
            yield f"{n} runs out", _link(joint, n, at_vault=AtVault.EXPIRED, past=True)
        if link.at_vault is AtVault.EXPIRED and link.past and link.state is not LinkState.DESTROYED:
            yield f"{n} ends at the vault", _link(joint, n, at_vault=AtVault.DESTROYED)
        if Post(Effect.RENEW_LINK, n) in joint.outbox:
            continue  # the expiry that the journal knows is not the one that counts
        if link.state is LinkState.ACTIVE and link.past:
            yield f"{n} expired", on_link(joint, n, LinkEvent.EXPIRED)
        elif link.state is LinkState.EXPIRED and link.past:
            over = _link(joint, n, at_vault=AtVault.DESTROYED)
            yield f"{n} grace ended", on_link(over, n, LinkEvent.GRACE_ENDED)
    if joint.arriving and joint.share in (ShareState.OPEN, ShareState.HELD):
        yield "quiet", quiet(joint)
    waiting = WAITING & set(joint.slips)
    if joint.share is ShareState.OPEN and not joint.arriving and not joint.outbox and not waiting:
        yield "delivered", on_share(joint, ShareEvent.DELIVERED)


def quiet(joint: Joint) -> Joint:
    joint = joint._replace(arriving=False)
    return _mint(joint) if _mint_waits(joint) else joint


# -- people, senders, and the mains --------------------------------------------------------------------------------


def outside(joint: Joint) -> Iterator[tuple[str, Joint]]:
    if joint.share in (ShareState.OPEN, ShareState.HELD):
        yield "grown", on_share(joint._replace(arriving=joint.waits), ShareEvent.GREW)
    restarted = joint._replace(at_printer=-1, outbox=tuple(post._replace(asked=False) for post in joint.outbox))
    for n, slip in enumerate(restarted.slips):
        if slip is SlipState.PRINTING:
            restarted = on_slip(restarted, n, SlipEvent.LOST)
    yield "restart", restarted


COMMANDS = (
    ShareEvent.RELEASED,
    ShareEvent.REPRINTED,
    ShareEvent.REVOKED,
    ShareEvent.HELD_BACK,
    ShareEvent.JOINED,
)


def commands(joint: Joint) -> Iterator[tuple[str, Callable[[], Joint]]]:
    """What people ask for; the table may say no, and then nothing has changed."""
    for event in COMMANDS:
        if event is not ShareEvent.REPRINTED or joint.minted:  # a reprint names a slip
            yield str(event), lambda event=event: on_share(joint, event)
    for n, link in enumerate(joint.links):
        renewals = sum(post.effect is Effect.RENEW_LINK for post in joint.outbox)
        if link.state in (LinkState.ACTIVE, LinkState.EXPIRED) and not renewals and not link.keeps:
            yield f"renew {n}", lambda n=n: on_link(joint, n, LinkEvent.RENEWED)


def steps(joint: Joint) -> Iterator[tuple[str, Joint]]:
    """Everything that can happen next. NotPossibleError where the world brings what no table foresaw."""
    calm = joint._replace(faults=())
    for source in (linking, printing, interlock, desk, sweeping, outside):
        yield from source(calm)
    for name, ask in commands(calm):
        try:
            yield name, ask()
        except NotPossibleError:
            continue


def normal(joint: Joint) -> Joint:
    """Without the links that nothing can change any more, and without the order of the outbox, which binds nobody."""
    posted = {post.link for post in joint.outbox} | {joint.at_printer}
    for n, link in enumerate(joint.links):
        if link.locked and not at_interlock(joint, n):
            joint = _link(joint, n, locked=False)
        if link.state is LinkState.DESTROYED:
            joint = _buried(joint, n)
    kept = [n for n in range(len(joint.links)) if n in posted or not _dead(joint.links[n], joint.slips[n])]
    now = {old: new for new, old in enumerate(kept)} | {-1: -1}
    outbox = (post._replace(link=now[post.link]) for post in joint.outbox)
    return joint._replace(
        links=tuple(joint.links[n] for n in kept),
        slips=tuple(joint.slips[n] for n in kept),
        outbox=tuple(sorted(outbox)),
        at_printer=now[joint.at_printer],
    )


def _buried(joint: Joint, n: int) -> Joint:
    """A destroyed link without what makes no difference any more."""
    link = joint.links[n]
    at_vault = AtVault.ACTIVE if link.at_vault is AtVault.EXPIRED else link.at_vault
    joint = _link(joint, n, told=False)
    joint = _link(joint, n, at_vault=at_vault, past=False, ran_out=False) if link.past or link.ran_out else joint
    if joint.slips[n] is SlipState.UNKNOWN:
        joint = joint._replace(slips=_put(joint.slips, n, SlipState.VOID))
    return joint._replace(ran_out=True) if link.ran_out else joint


def _dead(link: Link, slip: SlipState) -> bool:
    return (
        slip is SlipState.VOID
        and link.state is LinkState.DESTROYED
        and link.at_vault in (AtVault.DESTROYED, AtVault.NOTHING)
    )


Way = dict[Joint, tuple[Joint | None, str]]


def reachable(start: Joint, most_links: int, spared: Callable[[Joint, str], bool] = lambda *_: False) -> Way:
    """Every joint state, and how it was first reached (breadth first, so by a shortest way).

    At most `most_links` that are not yet dead; without the steps that are `spared`.
    """
    start = normal(start)
    came: Way = {start: (None, "born")}
    front = [start]
    while front:
        onward = []
        for joint in front:
            for name, step in steps(joint):
                after = normal(step)
                waiting = sum(post.effect is Effect.MINT_LINK for post in after.outbox)
                if after not in came and len(after.links) + waiting <= most_links and not spared(joint, name):
                    came[after] = (joint, name)
                    onward.append(after)
        front = onward
    return came


def story(came: Way, joint: Joint | None) -> str:
    names: list[str] = []
    while joint is not None:
        joint, name = came[joint]
        names.append(name)
    return ", ".join(reversed(names))


# Best first: a request whose answer was lost is sent again.
GOOD = ("registered", "vault", "confirmed", "need not", "no answer", "released", "wristband", "told", "started")


def settle(joint: Joint) -> Joint:
    """Nothing new from outside, and every answer a good one, until nothing is left to do."""
    joint = joint._replace(faults=())
    while True:
        if joint.arriving and joint.share in (ShareState.OPEN, ShareState.HELD):
            joint = quiet(joint)
        for n, link in enumerate(joint.links):
            if link.state is LinkState.ACTIVE and link.past and Post(Effect.RENEW_LINK, n) not in joint.outbox:
                joint = on_link(joint, n, LinkEvent.EXPIRED)
        ahead = [*printing(joint), *linking(joint), *interlock(joint), *desk(joint)]
        if not ahead:
            return joint
        joint = min(ahead, key=_goodness)[1]


def _goodness(step: tuple[str, Joint]) -> int:
    return next((rank for rank, good in enumerate(GOOD) if good in step[0]), len(GOOD))


def _put(values: tuple[Any, ...], n: int, value: object) -> tuple[Any, ...]:
    return (*values[:n], value, *values[n + 1 :])


def _link(joint: Joint, n: int, **changes: Any) -> Joint:
    return joint._replace(links=_put(joint.links, n, joint.links[n]._replace(**changes)))


def _post(joint: Joint, effect: Effect, n: int = -1) -> Joint:
    return joint._replace(outbox=(*joint.outbox, Post(effect, n)))


def _done(joint: Joint, post: Post) -> Joint:
    at = joint.outbox.index(post)
    return joint._replace(outbox=joint.outbox[:at] + joint.outbox[at + 1 :])


def _swap(joint: Joint, old: Post, new: Post) -> Joint:
    return joint._replace(outbox=_put(joint.outbox, joint.outbox.index(old), new))
