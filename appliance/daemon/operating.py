"""What people may ask of the running box: the commands' counterpart. Answers are plain values, ready for JSON."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from appliance.core.health import Facts, sentences
from appliance.core.share import ShareEvent, ShareState
from appliance.core.slip import SlipState
from appliance.daemon import interlock
from appliance.daemon.bell import Bell
from appliance.daemon.peers import KnownPeer
from appliance.daemon.printer_watch import PrinterWatch
from appliance.daemon.printing import Printing
from appliance.daemon.receiving import Receiving
from appliance.daemon.relaying import DISK_LOST
from appliance.daemon.slip_desk import WHAT_TO_DO, SlipDesk, waiting
from appliance.daemon.story import Story
from appliance.daemon.transitions import SHORT_ID_CHARS, Transitions
from appliance.errors import NotFoundError, NotPossibleError
from appliance.formats.audit import Event, Kind
from appliance.formats.moments import written
from appliance.formats.sealed import Sealer
from appliance.ports import Journal, Printer, Row, Spool, Transaction

LIST_LIMIT = 200


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
            "slips-list": self._slips_list,
            "slips-reprint": self._slips_reprint,
            "slips-confirm": desk.confirm,
            "slips-lost": desk.lost,
            "slips-release": desk.release,
            "slips-pin": desk.pin,
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
            senders_without_token=around.get("senders_without_token", ""),
            audit_error=around.get("audit_error", ""),
            pacs_error=around.get("pacs_error", ""),
            slips_waiting=counts["slips_waiting"],
            slips_unconfirmed=tuple(counts["slips_unconfirmed"]),
            slips_overdue=tuple(counts["slips_overdue"]),
            slips_locked=tuple(counts["slips_locked"]),
            scanner_error=around.get("scanner_error", ""),
            objects_waiting=counts["objects_waiting"],
            requests_waiting=counts["requests_waiting"],
            shares_held=counts["shares_held"],
            shares_damaged=tuple(counts["shares_damaged"]),
            peers_parked=counts["peers_parked"],
        )
        said = [{"level": s.level.name.lower(), "what": s.what, "do": s.do} for s in sentences(facts)]
        return {"sentences": said, "associations": self._receiving.associations, **around, **counts}

    # -- slips, printer, peers -------------------------------------------------------------------------------------

    async def _slips_list(self, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        rows = await self._journal.run(lambda tx: self._slips(tx, _by(arguments)))
        return [
            {
                "number": row["number"],
                "state": row["state"],
                "patient": self._story.patient(row),
                "share": row["share_id"].hex()[:SHORT_ID_CHARS],
                "copy": row["copy"],
                "link": row["link_state"],
                "expires_at": written(row["expires_at"]) if row["expires_at"] else "",
                "printed_at": written(row["printed_at"]) if row["printed_at"] else "",
                "to_do": _to_do(row),
            }
            for row in rows
        ]

    def _slips(self, tx: Transaction, by: str) -> list[Row]:
        """Who looks at patients is recorded, even where it is initials only."""
        rows = tx.all("slips", limit=LIST_LIMIT)
        if rows:
            self._transitions.trail.record(tx, Event(Kind.PATIENTS_LISTED, by=by, about=f"{len(rows)} slips"))
        return rows

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
        return [
            row | {"first_seen": written(row["first_seen"]), "last_seen": written(row["last_seen"])} for row in rows
        ]

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
        "requests_waiting": len(tx.all("requests_in_state", state="pending")),
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
