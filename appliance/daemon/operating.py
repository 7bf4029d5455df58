"""What people may ask of the running box: the commands' counterpart. Answers are plain values, ready for JSON."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from appliance.core.health import Facts, sentences
from appliance.core.link import LinkEvent, LinkState
from appliance.core.share import ShareEvent, ShareState
from appliance.core.slip import SlipState
from appliance.daemon import interlock, notes
from appliance.daemon.bell import Bell
from appliance.daemon.peers import KnownPeer
from appliance.daemon.printer_watch import PrinterWatch
from appliance.daemon.printing import Printing
from appliance.daemon.receiving import Receiving
from appliance.daemon.relaying import DISK_LOST
from appliance.daemon.slip_desk import WHAT_TO_DO, SlipDesk, waiting
from appliance.daemon.story import Story, local
from appliance.daemon.transitions import SHORT_ID_CHARS, Transitions
from appliance.errors import NotFoundError, NotPossibleError, SlipwayError
from appliance.formats.audit import Event, Kind
from appliance.formats.sealed import Sealer
from appliance.ports import Journal, Printer, Row, Spool, Transaction

LIST_LIMIT = 200
DAY_S = 86400.0


class Operating:
    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        receiving: Receiving,
        printing: Printing,
        printer: Printer,
        transitions: Transitions,
        sealer: Sealer,
        bell: Bell,
        clock: Callable[[], float],
        surroundings: Callable[[], dict[str, Any]],
        reload: Callable[[], Awaitable[None]],
        watch: PrinterWatch,
        desk: SlipDesk,
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._receiving = receiving
        self._printing = printing
        self._printer = printer
        self._transitions = transitions
        self._story = Story(sealer, clock)
        self._bell = bell
        self._clock = clock
        self._surroundings = surroundings
        self._reload = reload
        self._watch = watch
        self._commands: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
            "status": self._status,
            "shares-list": self._shares_list,
            "shares-show": self._shares_show,
            "shares-revoke": self._shares_revoke,
            "shares-release": self._shares_release,
            "shares-extend": self._shares_extend,
            "slips-list": self._slips_list,
            "slips-reprint": self._slips_reprint,
            "slips-confirm": desk.confirm,
            "slips-lost": desk.lost,
            "slips-release": desk.release,
            "printer-status": self._printer_status,
            "printer-test": self._printer_test,
            "peers-list": self._peers_list,
            "peers-approve": self._peers_approve,
            "reload": self._reload_enrolment,
        }

    def also(self, commands: Mapping[str, Callable[[dict[str, Any]], Awaitable[Any]]]) -> None:
        """Commands that somebody else answers."""
        self._commands |= commands

    async def command(self, name: str, arguments: dict[str, Any]) -> Any:
        handler = self._commands.get(name)
        if handler is None:
            raise NotFoundError(f"this box knows no command {name}", hint="Update the box or the command.")
        return await handler(arguments)

    # -- status ----------------------------------------------------------------------------------------------------

    async def _status(self, _: dict[str, Any]) -> dict[str, Any]:
        around = self._surroundings()
        counts = await self._journal.run(_counts)
        await self._watch.is_ready()
        facts = Facts(
            receiving=bool(around["listening"]),
            spool_broken=self._spool.broken,
            spool_free_bytes=around["spool_free_bytes"],
            enrolled=around["enrolled"],
            vault_error=around["vault_error"],
            printer_detail=self._watch.trouble,
            audit_error=around.get("audit_error", ""),
            slips_waiting=counts["slips_waiting"],
            slips_unconfirmed=tuple(counts["slips_unconfirmed"]),
            slips_overdue=tuple(counts["slips_overdue"]),
            slips_locked=tuple(counts["slips_locked"]),
            scanner_error=around.get("scanner_error", ""),
            objects_waiting=counts["objects_waiting"],
            shares_held=counts["shares_held"],
            shares_damaged=tuple(counts["shares_damaged"]),
            peers_parked=counts["peers_parked"],
        )
        said = [{"level": s.level.name.lower(), "what": s.what, "do": s.do} for s in sentences(facts)]
        return {"sentences": said, "associations": self._receiving.associations, **around, **counts}

    # -- shares ----------------------------------------------------------------------------------------------------

    async def _shares_list(self, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        rows = await self._journal.run(lambda tx: self._list_patients(tx, "shares", arguments))
        shares = [self._story.head(row) for row in rows]
        return [share for share in shares if not arguments.get("held") or share["state"] == "held"]

    def _list_patients(self, tx: Transaction, what: str, arguments: dict[str, Any]) -> list[Row]:
        """Who looks at patients is recorded, even where it is initials only."""
        rows = tx.all(what, limit=LIST_LIMIT)
        if rows:
            about = f"{len(rows)} {what}"
            self._transitions.trail.record(tx, Event(Kind.PATIENTS_LISTED, by=_by(arguments), about=about))
        return rows

    async def _shares_show(self, arguments: dict[str, Any]) -> dict[str, Any]:
        def work(tx: Transaction) -> dict[str, Any]:
            row = _find_share(tx, arguments["id"])
            self._transitions.audit(tx, Kind.SHARE_SHOWN, row["id"], by=_by(arguments))
            return self._story(tx, row)

        return await self._journal.run(work)

    async def _shares_revoke(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return await self._change(arguments, ShareEvent.REVOKED)

    async def _shares_release(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return await self._change(arguments, ShareEvent.RELEASED)

    async def _change(self, arguments: dict[str, Any], event: ShareEvent) -> dict[str, Any]:
        def work(tx: Transaction) -> dict[str, Any]:
            row = _find_share(tx, arguments["id"])
            self._transitions.share(tx, row["id"], event, str(arguments.get("why", "")), by=_by(arguments))
            return self._story(tx, tx.one("share", id=row["id"]))

        result = await self._journal.run(work)
        self._bell.ring()
        return result

    async def _shares_extend(self, arguments: dict[str, Any]) -> dict[str, Any]:
        seconds = float(arguments["days"]) * DAY_S

        def work(tx: Transaction) -> dict[str, Any]:
            row = _find_share(tx, arguments["id"])
            links = [link for link in tx.all("links", share=row["id"]) if _renewable(link)]
            if not links:
                raise NotFoundError("this share has no link that could be extended", hint="Print another slip for it.")
            for link in links:
                tx.do("set_link_expiry", id=link["id"], expires_in_s=seconds)
                self._transitions.link(tx, link["id"], LinkEvent.RENEWED)
            by, days = _by(arguments), seconds / DAY_S
            self._transitions.note(tx, row["id"], notes.extended(days), by=by)
            self._transitions.audit(tx, Kind.LINK_EXTENDED, row["id"], by=by, about=f"{days:g} days")
            return self._story(tx, row)

        result = await self._journal.run(work)
        self._bell.ring()
        return result

    # -- slips, printer, peers -------------------------------------------------------------------------------------

    async def _slips_list(self, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        rows = await self._journal.run(lambda tx: self._list_patients(tx, "slips", arguments))
        return [
            {
                "number": row["number"],
                "state": row["state"],
                "patient": self._story.patient(row),
                "share": row["share_id"].hex()[:SHORT_ID_CHARS],
                "copy": row["copy"],
                "link": row["link_state"],
                "expires_at": local(row["expires_at"]) if row["expires_at"] else "",
                "printed_at": local(row["printed_at"]) if row["printed_at"] else "",
                "to_do": _to_do(row),
            }
            for row in rows
        ]

    async def _slips_reprint(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """A new link on a new slip; the older ones are dead from now on."""

        def work(tx: Transaction) -> dict[str, Any]:
            slip = tx.first("slip_by_number", number=str(arguments["number"]).upper())
            if slip is None:
                raise NotFoundError(f"there is no slip {arguments['number']}", hint="See `slipway slips list`.")
            why, by = str(arguments["why"]), _by(arguments)
            _check_reprint(tx.one("share", id=slip["share"]), slip["number"])
            self._transitions.share(tx, slip["share"], ShareEvent.REPRINTED, why, by=by, slip=slip["number"])
            return self._story(tx, tx.one("share", id=slip["share"]))

        result = await self._journal.run(work)
        self._bell.ring()
        return result

    async def _printer_status(self, _: dict[str, Any]) -> dict[str, Any]:
        status = await self._printer.status()
        return {
            "ready": status.ready,
            "reachable": status.reachable,
            "paper": str(status.paper),
            "cover_open": status.cover_open,
            "detail": status.detail,
        }

    async def _printer_test(self, _: dict[str, Any]) -> str:
        return str(await self._printing.print_specimen())

    async def _peers_list(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        rows = await self._journal.run(lambda tx: tx.all("peers"))
        return [row | {"first_seen": local(row["first_seen"]), "last_seen": local(row["last_seen"])} for row in rows]

    async def _peers_approve(self, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        ae_title, address = str(arguments["ae_title"]), str(arguments.get("address", ""))
        if address:
            _check_address(address)

        def work(tx: Transaction) -> list[Row]:
            if address:
                tx.do("see_peer", ae_title=ae_title, address=address, state="parked", now=self._clock())
            rows = tx.all("approve_peer", ae_title=ae_title, address=address)
            for row in rows:
                peer = {"calling": row["ae_title"], "address": row["address"]}
                self._transitions.trail.record(tx, Event(Kind.PEER_APPROVED, by=_by(arguments), **peer))
            return rows

        rows = await self._journal.run(work)
        if not rows:
            raise NotFoundError(
                f"no sender {ae_title} has been seen", hint="Give its address too, or let it send once."
            )
        for row in rows:
            self._receiving.peers.add(KnownPeer.of(row["ae_title"], row["address"]))
        return rows

    async def _reload_enrolment(self, _: dict[str, Any]) -> dict[str, Any]:
        await self._reload()
        await self._journal.run(lambda tx: tx.do("retry_effects_now"))  # what another enrolment could not do
        self._bell.ring()
        return {}


def _by(arguments: dict[str, Any]) -> str:
    """Who asks, as the control socket found out; "" where nobody did."""
    return str(arguments.get("by", ""))


def _counts(tx: Transaction) -> dict[str, Any]:
    damaged = tx.all("shares_to_relay_with_event", what=DISK_LOST)
    return {
        **waiting(tx),
        "slips_waiting": tx.one("count_slips_waiting")["n"],
        "slips_locked": interlock.locked(tx),
        "objects_waiting": tx.one("count_waiting_objects")["n"],
        "shares_held": tx.one("count_held")["n"],
        "shares_damaged": [row["share_id"].hex()[:SHORT_ID_CHARS] for row in damaged],
        "peers_parked": tx.one("count_parked")["n"],
    }


def _check_reprint(share: Row, number: str) -> None:
    """The table would refuse these too, but cannot say what to do instead."""
    share_id = share["share_id"].hex()[:SHORT_ID_CHARS]
    again = "Send the study to the box again: it comes on a new slip."
    refused = {
        ShareState.CLOSED: (
            f"slip {number} cannot be printed again: its images were delivered and the box has forgotten their key",
            f"{again} The old slip works on until `slipway shares revoke {share_id}`.",
        ),
        ShareState.REVOKED: (f"slip {number} cannot be printed again: its share was revoked", again),
        ShareState.HELD: (
            f"slip {number} cannot be printed again: its share is held for a person to decide",
            f"See `slipway shares show {share_id}`; `slipway shares release {share_id}` prints a slip.",
        ),
    }.get(ShareState(share["state"]))
    if refused:
        raise NotPossibleError(refused[0], hint=refused[1])


def _to_do(slip: Row) -> str:
    locked = slip["state"] == SlipState.QUEUED and slip["wristband"]
    return interlock.WHAT_TO_DO if locked else WHAT_TO_DO.get(slip["state"], "")


def _check_address(address: str) -> None:
    """Before it is journalled: the box reads approved addresses when it starts."""
    try:
        ipaddress.ip_network(address, strict=False)
    except ValueError:
        raise NotFoundError(
            f"{address!r} is no IP address", hint="Write an address or a network such as 10.20.0.0/24."
        ) from None


def _find_share(tx: Transaction, prefix: str) -> Row:
    if not prefix or not all(char in "0123456789abcdef" for char in prefix.lower()):
        raise SlipwayError(f"{prefix!r} is not a share's id", hint="See `slipway shares list`.")
    rows = tx.all("share_by_prefix", prefix=prefix.lower())
    if len(rows) != 1:
        what = "more than one share has" if rows else "no share has"
        raise NotFoundError(f"{what} an id that starts with {prefix}", hint="See `slipway shares list`.")
    return rows[0]


def _renewable(link: Row) -> bool:
    return link["state"] in (LinkState.ACTIVE, LinkState.EXPIRED)
