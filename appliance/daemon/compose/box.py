"""The whole box, wired together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from appliance import __version__
from appliance.adapters import machine, system
from appliance.adapters.acceptor import Acceptor
from appliance.adapters.control import ControlServer
from appliance.adapters.dicomweb import DicomwebServer
from appliance.adapters.event_reporter import EventReporter
from appliance.adapters.journal import SqliteJournal
from appliance.adapters.pacs import Archive, DicomPacs, echo_all
from appliance.adapters.scanner import open_scanner
from appliance.adapters.spool import FileSpool
from appliance.adapters.vault import HttpVault
from appliance.config import Settings
from appliance.daemon.auditing import Trail
from appliance.daemon.compose.cloud import CloudParts, cloud_parts, read_enrolment, vault_url
from appliance.daemon.compose.ground import Ground, lay_ground
from appliance.daemon.compose.paper import PaperParts, paper_parts
from appliance.daemon.compose.reception import Door, ReceptionParts, reception_parts
from appliance.daemon.delivering import Delivering
from appliance.daemon.event_reports import EventReports
from appliance.daemon.interlock import Interlock, Scanning
from appliance.daemon.linking import Linking
from appliance.daemon.operating import Operating
from appliance.daemon.pacs_parts import WITHOUT_PACS, PacsParts, pacs_parts
from appliance.daemon.printer_watch import PrinterWatch
from appliance.daemon.printing import Printing
from appliance.daemon.receiving import Receiving
from appliance.daemon.relaying import Relaying
from appliance.daemon.request_parts import RequestParts, request_parts
from appliance.daemon.reviewing import Reviewing
from appliance.daemon.scanned_pulls import ScannedPulls
from appliance.daemon.share_desk import ShareDesk
from appliance.daemon.status_slip import Machine, Outside, StatusSlips
from appliance.daemon.story import Story
from appliance.daemon.sweeping import Sweeping
from appliance.errors import SlipwayError
from appliance.formats.sealed import Sealer

Commands = Mapping[str, Callable[[dict[str, Any]], Awaitable[Any]]]

VAULT_CHECK_S = 4.0  # somebody waits for the status slip
DAY_S = 86400.0


@dataclass
class Box:
    """Everything that runs."""

    settings: Settings
    spool: FileSpool
    journal: SqliteJournal
    vault: HttpVault
    acceptor: Acceptor
    dicomweb: DicomwebServer
    control: ControlServer
    receiving: Receiving
    relaying: Relaying
    linking: Linking
    printing: Printing
    watch: PrinterWatch
    scanning: Scanning | None
    status_slips: StatusSlips
    wishes: RequestParts
    pacs: PacsParts | None
    event_reports: EventReports
    sweeping: Sweeping
    trail: Trail
    delivering: Delivering | None
    sealer: Sealer
    doors: list[Door]
    web_door: Door
    listening: list[str]


def compose(settings: Settings, printer_sockets: Path | None = None) -> Box:
    """SettingsError when the settings cannot be carried out; nothing is started yet.

    `printer_sockets`: where systemd listens for calls to the printer; None: the box starts the printer's worker itself.
    """
    ground = lay_ground(settings)
    vault = HttpVault(read_enrolment(settings), settings.vault.ca_file, ground.clock.now)
    paper = paper_parts(ground, printer_sockets, vault_url(settings, vault))
    cloud = cloud_parts(ground, vault)
    wishes = _wishes(ground, paper)
    reception = reception_parts(ground, wishes.serving)
    pacs = _pacs(ground, reception, wishes)
    listening: list[str] = []
    troubles: dict[str, Callable[[], str]] = {}
    operating = _operating(ground, vault, paper, reception, listening, troubles)
    for commands in _commands(ground, cloud, reception, wishes, pacs):
        operating.also(commands)
    status_slips = _status_slips(ground, vault, paper, operating)
    scanning = _scanning(settings, paper.interlock, pacs, status_slips) if settings.scanner.device else None
    operating.also({"slips-release-wristband": paper.interlock.release, "status-print": status_slips.print_status})
    troubles |= _troubles(cloud, reception, scanning, pacs)
    return Box(
        settings=settings,
        spool=ground.spool,
        journal=ground.journal,
        vault=vault,
        acceptor=reception.acceptor,
        dicomweb=reception.dicomweb,
        control=ControlServer(settings.spool.path, operating.command),
        receiving=reception.receiving,
        relaying=cloud.relaying,
        linking=cloud.linking,
        printing=paper.printing,
        watch=paper.watch,
        scanning=scanning,
        status_slips=status_slips,
        wishes=wishes,
        pacs=pacs,
        event_reports=_event_reports(ground, wishes),
        sweeping=_sweeping(ground, vault, reception, wishes, pacs),
        trail=ground.trail,
        delivering=cloud.delivering,
        sealer=ground.sealer,
        doors=reception.doors,
        web_door=reception.web_door,
        listening=listening,
    )


# -- parts of more than one side ---------------------------------------------------------------------------------------


def _troubles(
    cloud: CloudParts, reception: ReceptionParts, scanning: Scanning | None, pacs: PacsParts | None
) -> dict[str, Callable[[], str]]:
    """What health asks each side; "" where it is well, or is not there."""
    return {
        "audit_error": lambda: cloud.delivering.last_error if cloud.delivering else "",
        "scanner_error": lambda: scanning.trouble if scanning else "",
        "pacs_error": lambda: pacs.watch.trouble if pacs else "",
        "senders_without_token": lambda: ", ".join(reception.without_token),
    }


def _wishes(ground: Ground, paper: PaperParts) -> RequestParts:
    return request_parts(
        ground.journal,
        ground.transitions,
        ground.sealer,
        ground.bell,
        ground.clock.now,
        paper.watch,
        receivers=_receivers(ground.settings),
        copies={title: profile.copies for title, profile in ground.profiles.items()},
        can_pull=bool(ground.settings.pacs.peer),
    )


def _receivers(settings: Settings) -> dict[str, tuple[str, int]]:
    """AE titles that can be called."""
    peers = (peer for peer in settings.dicom.peer if "/" not in peer.address)
    return {peer.ae_title: (peer.address, peer.port) for peer in peers if peer.port}


def _event_reports(ground: Ground, wishes: RequestParts) -> EventReports:
    settings = ground.settings
    reporter = EventReporter(_receivers(settings), settings.profile[0].ae_title)
    return EventReports(
        ground.journal,
        wishes.requests,
        wishes.gauging,
        wishes.notices,
        reporter,
        ground.bell,
        ground.clock.monotonic,
    )


def _pacs(ground: Ground, reception: ReceptionParts, wishes: RequestParts) -> PacsParts | None:
    settings = ground.settings
    peer = next((peer for peer in settings.dicom.peer if settings.pacs.peer == peer.ae_title and peer.port), None)
    if peer is None:
        return None
    archive, calling = Archive(peer.address, peer.port or 0, peer.ae_title), settings.profile[0].ae_title
    scu = DicomPacs(archive, calling, settings.pacs.retrieve, ground.spool, reception.receiving, ground.clock.now)
    return pacs_parts(
        ground.journal,
        scu,
        settings.pacs.peer,
        wishes,
        reception.transfers,
        ground.trail,
        ground.sealer,
        ground.bell,
        ground.clock,
        tuple(ground.profiles),
        check=settings.pacs.check,
        check_again_s=settings.pacs.check_again_seconds,
    )


def _sweeping(
    ground: Ground, vault: HttpVault, reception: ReceptionParts, wishes: RequestParts, pacs: PacsParts | None
) -> Sweeping:
    return Sweeping(
        ground.journal,
        ground.spool,
        reception.receiving,
        reception.transfers,
        ground.transitions,
        wishes.judging,
        {title: profile.quiet_seconds for title, profile in ground.profiles.items()},
        ground.bell,
        ground.clock.now,
        vault.known_now,
        is_pending=pacs.is_pending if pacs else lambda _: False,
        waited_for=wishes.requesting.waited_for,
        keep_trail_s=ground.settings.audit.keep_days * DAY_S,
        forget_old=(wishes.requests.forget_old, wishes.claims.forget_old),
    )


def _scanning(settings: Settings, interlock: Interlock, pacs: PacsParts | None, status_slips: StatusSlips) -> Scanning:
    scanner, reads = open_scanner(settings.scanner.device), settings.scanner.reads
    if reads == "wristband" or pacs is None:
        return Scanning(scanner, interlock)
    pulls = ScannedPulls(pacs.desk, status_slips.print_scanned, settings.scanner.profile)
    pacs.pulling.on_trouble = pulls.refused
    return Scanning(scanner, interlock if reads == "both" else None, pulls.take)


# -- what people ask ---------------------------------------------------------------------------------------------------


def _operating(
    ground: Ground,
    vault: HttpVault,
    paper: PaperParts,
    reception: ReceptionParts,
    listening: list[str],
    troubles: Mapping[str, Callable[[], str]],
) -> Operating:
    settings = ground.settings

    def surroundings() -> dict[str, Any]:
        return _surroundings(settings, vault, listening) | {name: said() for name, said in troubles.items()}

    async def reload() -> None:
        vault.enrolment = read_enrolment(settings)

    return Operating(
        ground.journal,
        ground.spool,
        reception.receiving,
        paper.printing,
        paper.printer,
        ground.transitions,
        ground.sealer,
        ground.bell,
        ground.clock.now,
        surroundings,
        reload,
        paper.watch,
        paper.desk,
    )


def _commands(
    ground: Ground, cloud: CloudParts, reception: ReceptionParts, wishes: RequestParts, pacs: PacsParts | None
) -> list[Commands]:
    story = Story(ground.sealer, ground.clock.now)
    shares = ShareDesk(ground.journal, ground.transitions, reception.releasing, ground.sealer, ground.bell, story)
    return [
        Reviewing(ground.journal, ground.trail, cloud.source).commands,
        wishes.desk.commands,
        pacs.desk.commands if pacs else WITHOUT_PACS,
        shares.commands,
    ]


def _status_slips(ground: Ground, vault: HttpVault, paper: PaperParts, operating: Operating) -> StatusSlips:
    settings = ground.settings
    return StatusSlips(
        ground.journal,
        paper.printing,
        paper.printer,
        paper.watch,
        paper.model,
        settings.printer.paper_mm,
        settings.site.language,
        lambda: operating.command("status", {}),
        _machine,
        partial(_outside, settings, vault),
        ground.clock.monotonic,
        ground.clock.now,
        lambda: vault.enrolment is None,
        system.BootMarker("set-up-slip-is-out", settings.spool.path),
    )


def _machine() -> Machine:
    key, clock = machine.host_key_fingerprint(), machine.clock_is_synchronised()
    return Machine(socket.gethostname(), tuple(machine.addresses()), key, clock)


async def _outside(settings: Settings, vault: HttpVault) -> Outside:
    """Who answers now: peers that the settings give a port, and the vault."""
    peers = [(peer.address, peer.port, peer.ae_title) for peer in settings.dicom.peer if peer.port]
    answers, reached = await asyncio.gather(echo_all(peers, settings.profile[0].ae_title), _reached(vault))
    return Outside(answers, reached, vault.since if reached is not bool(vault.last_error) else None)


async def _reached(vault: HttpVault) -> bool:
    try:
        await asyncio.wait_for(vault.check(), VAULT_CHECK_S)
    except (SlipwayError, TimeoutError):
        return False
    return True


def _surroundings(settings: Settings, vault: HttpVault, listening: list[str]) -> dict[str, Any]:
    return {
        "version": __version__,
        "site": settings.site.name,
        "listening": listening,
        "ae_titles": [profile.ae_title for profile in settings.profile],
        "enrolled": vault.enrolment is not None,
        "vault": vault_url(settings, vault),
        "vault_error": vault.last_error if vault.enrolment else "",
        "clock_offset_s": round(vault.clock_offset_s, 1),
        "printer": settings.printer.device,
        "spool_free_bytes": system.free_bytes(settings.spool.path),
    }
