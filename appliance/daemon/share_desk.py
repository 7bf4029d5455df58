"""What people may ask of shares: to see them, to end or extend them, and what to do with those that are held.

Of patients, lists show initials and birth year. Only a held share is shown with all that identifies its patient, beside
the share that it may belong with: a person must compare them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from appliance.core.identity import Identity, normal_date, same_name
from appliance.core.link import LinkEvent, LinkState
from appliance.core.share import ShareEvent, ShareState
from appliance.daemon import notes
from appliance.daemon.bell import Bell
from appliance.daemon.deciding import Deciding
from appliance.daemon.minting import open_share
from appliance.daemon.releasing import Decision, Releasing
from appliance.daemon.standing import shown
from appliance.daemon.story import Story
from appliance.daemon.transitions import SHORT_ID_CHARS, Transitions
from appliance.errors import NotFoundError, NotPossibleError, SlipwayError
from appliance.formats.audit import Event, Kind
from appliance.formats.sealed import Sealer
from appliance.ports import Journal, Row, Transaction

LIST_LIMIT = 200
DAY_S = 86400.0
Command = Callable[[dict[str, Any]], Awaitable[Any]]


class ShareDesk:
    def __init__(
        self,
        journal: Journal,
        transitions: Transitions,
        releasing: Releasing,
        sealer: Sealer,
        bell: Bell,
        story: Story,
    ) -> None:
        self._journal = journal
        self._transitions = transitions
        self._releasing = releasing
        self._deciding = Deciding(transitions, releasing)
        self._sealer = sealer
        self._bell = bell
        self._story = story

    @property
    def commands(self) -> Mapping[str, Command]:
        return {
            "shares-list": self._list,
            "shares-ids": self._ids,
            "shares-show": self._show,
            "shares-revoke": self._revoke,
            "shares-extend": self._extend,
            "shares-release": self._release,
            "shares-resolve": self._resolve,
            "shares-hold": self._hold,
            "shares-print": self._print,
        }

    # -- seeing ----------------------------------------------------------------------------------------------------

    async def _list(self, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        def work(tx: Transaction) -> list[dict[str, Any]]:
            # Of those that wait all, however many shares are newer.
            rows = tx.all("held_shares") if arguments.get("held") else tx.all("shares", limit=LIST_LIMIT)
            if rows:  # who looks at patients is recorded, even where it is initials only
                event = Event(Kind.PATIENTS_LISTED, by=_by(arguments), about=f"{len(rows)} shares")
                self._transitions.trail.record(tx, event)
            return [self._story.head(row) | {"waits_for": ", ".join(self._waits_for(tx, row))} for row in rows]

        return await self._journal.run(work)

    async def _ids(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        """For the shell's completion: nothing of a patient."""
        rows = await self._journal.run(lambda tx: tx.all("share_states", limit=LIST_LIMIT))
        return [{"id": row["share_id"].hex()[:SHORT_ID_CHARS], "state": row["state"]} for row in rows]

    async def _show(self, arguments: dict[str, Any]) -> dict[str, Any]:
        def work(tx: Transaction) -> dict[str, Any]:
            row = find_share(tx, arguments["id"])
            self._transitions.audit(tx, Kind.SHARE_SHOWN, row["id"], by=_by(arguments))
            told = self._told(tx, row)
            if row["state"] == ShareState.HELD:
                told["held"]["sides"] = self._sides(tx, row, self._deciding.rival(tx, row))
            return told

        return await self._journal.run(work)

    def _told(self, tx: Transaction, row: Row) -> dict[str, Any]:
        story = self._story(tx, row)
        return story | {"held": self._held(tx, row)} if row["state"] == ShareState.HELD else story

    def _waits_for(self, tx: Transaction, row: Row) -> list[str]:
        if row["state"] != ShareState.HELD:
            return []
        return ["a person to resolve it"] if row["doubt"] else self._releasing.waits_for(tx, row)

    def _held(self, tx: Transaction, row: Row) -> dict[str, Any]:
        other = self._deciding.rival(tx, row)
        return {
            "doubt": row["doubt"],
            "because": shown(row["held_because"]),
            "waits_for": self._waits_for(tx, row),
            "other": {"id": other["share_id"].hex()[:SHORT_ID_CHARS], "state": other["state"]} if other else None,
            "sides": [],
        }

    def _sides(self, tx: Transaction, here: Row, other: Row | None) -> list[dict[str, Any]]:
        """What identifies the patient, in both shares; of one that has forgotten it, nothing."""
        one = self._described(tx, here)
        two = self._described(tx, other) if other and other["sealed"] else {}
        differ = _differences(self._identity(here), self._identity(other)) if other and two else set()
        return [
            {"attribute": name, "here": value, "other": two.get(name, ""), "differs": name in differ}
            for name, value in one.items()
        ]

    def _identity(self, row: Row) -> Identity:
        return open_share(row, self._sealer).identity

    def _described(self, tx: Transaction, row: Row) -> dict[str, str]:
        secrets = open_share(row, self._sealer)
        identity, first = secrets.identity, secrets.first
        count = tx.one("count_instances", share=row["id"])["received"]
        senders = sorted({one["ae_title"] for one in tx.all("senders_of_share", share=row["id"])})
        return _identifying(identity) | {
            "Study Date": first.study_date,
            "Modality": first.modality,
            "Sent by": ", ".join(senders),
            "Images": str(count),
        }

    # -- doing -----------------------------------------------------------------------------------------------------

    async def _revoke(self, arguments: dict[str, Any]) -> dict[str, Any]:
        def revoke(tx: Transaction, row: Row, by: str, why: str) -> str:
            self._transitions.share(tx, row["id"], ShareEvent.REVOKED, why, by=by)
            return ""

        return await self._decide(arguments, revoke)

    async def _release(self, arguments: dict[str, Any]) -> dict[str, Any]:
        def release(tx: Transaction, row: Row, by: str, why: str) -> str:
            return self._deciding.release(tx, row, by, why, without_report=bool(arguments.get("without_report")))

        return await self._decide(arguments, release)

    async def _resolve(self, arguments: dict[str, Any]) -> dict[str, Any]:
        decision = Decision(arguments["decision"])

        def resolve(tx: Transaction, row: Row, by: str, why: str) -> str:
            rival = find_share(tx, arguments["with"]) if arguments.get("with") else None
            return self._deciding.resolve(tx, row, decision, by, why, rival)

        return await self._decide(arguments, resolve)

    async def _hold(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return await self._decide(arguments, self._deciding.hold)

    async def _print(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return await self._decide(arguments, self._deciding.print_now)

    async def _decide(
        self, arguments: dict[str, Any], decide: Callable[[Transaction, Row, str, str], str]
    ) -> dict[str, Any]:
        """The share's story, and what there is to say of the decision."""

        def work(tx: Transaction) -> dict[str, Any]:
            row = find_share(tx, arguments["id"])
            said = decide(tx, row, _by(arguments), str(arguments.get("why", "")))
            told = self._told(tx, tx.one("share", id=row["id"])) | {"said": said}
            for link in told["links"]:  # who sees a patient's data is on record: that is for `show`
                link["pin"] = ""
            return told

        result = await self._journal.run(work)
        self._bell.ring()
        return result

    async def _extend(self, arguments: dict[str, Any]) -> dict[str, Any]:
        seconds = float(arguments["days"]) * DAY_S

        def extend(tx: Transaction, row: Row, by: str, _: str) -> str:
            links = [link for link in tx.all("links", share=row["id"]) if _renewable(link)]
            if not links or row["state"] == ShareState.HELD:
                raise _nothing_to_extend(tx, row)
            for link in links:
                tx.do("set_link_expiry", id=link["id"], expires_in_s=seconds)
                self._transitions.link(tx, link["id"], LinkEvent.RENEWED)
            days = seconds / DAY_S
            self._transitions.note(tx, row["id"], notes.extended(days), by=by)
            self._transitions.audit(tx, Kind.LINK_EXTENDED, row["id"], by=by, about=f"{days:g} days")
            return f"Its slip opens it for {days:g} days from now, as soon as the vault has been told."

        return await self._decide(arguments, extend)


def find_share(tx: Transaction, prefix: str) -> Row:
    if not prefix or not all(char in "0123456789abcdef" for char in prefix.lower()):
        raise SlipwayError(f"{prefix!r} is not a share's id", hint="See `slipway shares list`.")
    rows = tx.all("share_by_prefix", prefix=prefix.lower())
    if len(rows) != 1:
        what = "more than one share has" if rows else "no share has"
        raise NotFoundError(f"{what} an id that starts with {prefix}", hint="See `slipway shares list`.")
    return rows[0]


def _nothing_to_extend(tx: Transaction, row: Row) -> SlipwayError:
    slips, short = tx.all("slips_of_share", share=row["id"]), row["share_id"].hex()[:SHORT_ID_CHARS]
    if row["state"] == ShareState.HELD:
        return NotPossibleError(f"share {short} is held: it has no slip", hint=f"See `slipway shares show {short}`.")
    hint = "Send its images to the box again: they come on a new slip."
    if row["state"] == ShareState.OPEN and slips:
        hint = f"Print another slip for it: `slipway slips reprint {slips[-1]['number']}`."
    return NotFoundError(f"share {short} has no link that could be extended", hint=hint)


def _renewable(link: Row) -> bool:
    return link["state"] in (LinkState.ACTIVE, LinkState.EXPIRED)


def _identifying(identity: Identity) -> dict[str, str]:
    return {
        "Patient ID": identity.patient_id,
        "Issuer of Patient ID": identity.issuer,
        "Patient's Name": identity.name,
        "Birth Date": identity.birth_date,
        "Sex": identity.sex,
    }


def _differences(one: Identity, other: Identity) -> set[str]:
    """As core/identity.py compares: what one of them lacks is a difference of ID, issuer, name and birth date only."""
    same = {
        "Patient ID": one.patient_id == other.patient_id,
        "Issuer of Patient ID": one.issuer == other.issuer,
        "Patient's Name": same_name(one.name, other.name),
        "Birth Date": normal_date(one.birth_date) == normal_date(other.birth_date),
        "Sex": {one.sex, other.sex} != {"M", "F"},
    }
    return {name for name, alike in same.items() if not alike}


def _by(arguments: dict[str, Any]) -> str:
    """Who asks, as the control socket found out; "" where nobody did."""
    return str(arguments.get("by", ""))
