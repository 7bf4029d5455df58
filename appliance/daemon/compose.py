"""Settings to objects: the only module that names adapters."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from appliance import __version__
from appliance.adapters import dicom_tls, machine, system, tokens
from appliance.adapters.acceptor import Acceptor
from appliance.adapters.association import Limits
from appliance.adapters.audit_repository import SyslogRepository
from appliance.adapters.control import ControlServer
from appliance.adapters.dicomweb import DicomwebServer
from appliance.adapters.event_reporter import EventReporter
from appliance.adapters.journal import SqliteJournal
from appliance.adapters.pacs import Archive, DicomPacs, echo_all
from appliance.adapters.printers import open_apart
from appliance.adapters.scanner import open_scanner
from appliance.adapters.spool import FileSpool
from appliance.adapters.vault import HttpVault
from appliance.adapters.web_admission import Client
from appliance.config import DicomwebClient, PeerSettings, Profile, Settings
from appliance.core.release_rules import ReleaseRules
from appliance.daemon.alerts import Alerts
from appliance.daemon.auditing import Trail
from appliance.daemon.bell import Bell
from appliance.daemon.delivering import Delivering
from appliance.daemon.event_reports import EventReports
from appliance.daemon.facing import ProfileLook, SlipLook
from appliance.daemon.interlock import Interlock, Scanning
from appliance.daemon.linking import Linking
from appliance.daemon.manifesting import Manifesting
from appliance.daemon.minting import LinkTerms, When
from appliance.daemon.operating import Operating
from appliance.daemon.pacs_parts import WITHOUT_PACS, PacsParts, pacs_parts
from appliance.daemon.peers import KnownPeer, Peers, UnknownPeers
from appliance.daemon.placing import Placing, ProfileRules
from appliance.daemon.printer_watch import PrinterWatch
from appliance.daemon.printing import Printing
from appliance.daemon.quotas import GB, Quota, Quotas
from appliance.daemon.receiving import Receiving
from appliance.daemon.relaying import Relaying
from appliance.daemon.releasing import Releasing
from appliance.daemon.request_parts import RequestParts, request_parts
from appliance.daemon.reviewing import Reviewing
from appliance.daemon.scanned_pulls import ScannedPulls
from appliance.daemon.share_desk import ShareDesk
from appliance.daemon.slip_desk import SlipDesk
from appliance.daemon.status_slip import Machine, Outside, StatusSlips
from appliance.daemon.story import Story
from appliance.daemon.sweeping import Sweeping
from appliance.daemon.transfers import Transfers
from appliance.daemon.transitions import Transitions
from appliance.errors import SettingsError, SlipwayError
from appliance.formats import identity_file, printer_profiles, slip_logo
from appliance.formats.audit_message import Source
from appliance.formats.envelope import FactorKind
from appliance.formats.identity_file import Enrolment
from appliance.formats.sealed import Sealer

log = logging.getLogger("slipway")

ENROLMENT_NAME = "enrolment.json"
VAULT_CHECK_S = 4.0  # somebody waits for the status slip
MINUTE_S = 60.0
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S

Door = tuple[tuple[tuple[str, int], ...], ssl.SSLContext | None]  # addresses, and TLS or not


@dataclass
class Box:
    """Everything that runs, wired together."""

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


def read_enrolment(settings: Settings) -> Enrolment | None:
    """The box's identity at its vault, or None before `slipway enrol`."""
    path = settings.spool.path / ENROLMENT_NAME
    if not path.exists():
        return None
    enrolment = identity_file.decode(path.read_bytes())
    if settings.vault.url and settings.vault.url != enrolment.url:
        raise SettingsError(
            f"[vault] url is {settings.vault.url}, but this box is enrolled with {enrolment.url}",
            hint="Correct the settings, or enrol again: slipway enrol URL CODE.",
        )
    return enrolment


def compose(settings: Settings, printer_sockets: Path | None = None) -> Box:
    """SettingsError when the settings cannot be carried out; nothing is started yet.

    `printer_sockets`: where systemd listens for calls to the printer; None: the box starts the printer's worker itself.
    """
    folder = settings.spool.path
    clock = system.SystemClock()
    sealer = Sealer(system.load_spool_key(folder, settings.spool.key_file))
    spool = FileSpool(folder / "spool", sealer, spare_files=settings.spool.spare_files)
    journal = SqliteJournal(folder / "journal.db")
    vault = HttpVault(read_enrolment(settings), settings.vault.ca_file, clock.now)
    model = printer_profiles.find(settings.printer.model, settings.printer.density)
    model.dots(settings.printer.paper_mm)
    printer = open_apart(settings.printer.device, model, printer_sockets, imager=settings.printer.imager)
    bell = Bell()
    profiles = {profile.ae_title: profile for profile in settings.profile}
    transitions = Transitions({title: _terms(profile) for title, profile in profiles.items()}, sealer, clock.now)
    rules = {title: _rules(profile) for title, profile in profiles.items()}
    releasing = Releasing({title: one.release for title, one in rules.items()}, transitions, sealer, clock.now)
    placing = Placing(rules, transitions, releasing, sealer, clock.now)
    quiet_s = {title: profile.quiet_seconds for title, profile in profiles.items()}
    watch = PrinterWatch(printer)
    job_ttl_s = settings.printer.job_ttl_minutes * MINUTE_S
    desk = SlipDesk(journal, transitions, watch, bell, clock.now, sealer, job_ttl_s=job_ttl_s)
    look = slip_look(settings, _vault_url(settings, vault))
    printing = Printing(journal, printer, model, look, transitions, sealer, bell, clock.now, watch, desk)
    trail, repository = transitions.trail, _repository(settings)
    transfers = Transfers(trail, sealer)
    alerts = Alerts(trail, clock.now)
    receivers = _receivers(settings)
    wishes = request_parts(
        journal,
        transitions,
        sealer,
        bell,
        clock.now,
        watch,
        receivers=receivers,
        can_pull=bool(settings.pacs.peer),
    )
    reporter = EventReporter(receivers, settings.profile[0].ae_title)
    quotas = Quotas(_quotas(settings), settings.spool.fill_percent / 100, lambda: system.filled(folder))
    receiving = Receiving(
        journal, spool, placing, _peers(settings), frozenset(profiles), bell, transfers, quotas, alerts
    )
    scu = _pacs(settings, spool, receiving, clock.now)
    pacs = None
    if scu is not None:
        pacs = pacs_parts(
            journal,
            scu,
            settings.pacs.peer,
            wishes,
            transfers,
            trail,
            sealer,
            bell,
            clock,
            tuple(profiles),
            check=settings.pacs.check,
            check_again_s=settings.pacs.check_again_seconds,
        )
    sweeping = Sweeping(
        journal,
        spool,
        receiving,
        transfers,
        transitions,
        wishes.judging,
        quiet_s,
        bell,
        clock.now,
        vault.known_now,
        is_pending=pacs.is_pending if pacs else lambda _: False,
        keep_trail_s=settings.audit.keep_days * DAY_S,
        forget_old=(wishes.requests.forget_old, wishes.claims.forget_old),
    )
    patterns = {title: profile.interlock_pattern for title, profile in profiles.items()}
    interlock = Interlock(journal, transitions, sealer, bell, clock.now, patterns)
    manifesting = Manifesting(journal, sealer, settings.site.name, settings.site.language, transitions)
    listening: list[str] = []

    def surroundings() -> dict[str, Any]:
        around = _surroundings(settings, vault, listening)
        return around | {
            "audit_error": delivering.last_error if delivering else "",
            "scanner_error": scanning.trouble if scanning else "",
            "pacs_error": pacs.watch.trouble if pacs else "",
        }

    async def reload() -> None:
        vault.enrolment = read_enrolment(settings)

    operating = Operating(
        journal,
        spool,
        receiving,
        printing,
        printer,
        transitions,
        sealer,
        bell,
        clock.now,
        surroundings,
        reload,
        watch,
        desk,
    )

    def source() -> Source:
        return _source(settings, vault)

    delivering = Delivering(journal, trail, repository, source) if repository else None
    operating.also(Reviewing(journal, trail, source).commands)
    operating.also(wishes.desk.commands)
    operating.also(pacs.desk.commands if pacs else WITHOUT_PACS)
    shares = ShareDesk(journal, transitions, releasing, sealer, bell, Story(sealer, clock.now))
    operating.also(shares.commands)
    status_slips = StatusSlips(
        journal,
        printing,
        printer,
        watch,
        model,
        settings.printer.paper_mm,
        settings.site.language,
        lambda: operating.command("status", {}),
        _machine,
        partial(_outside, settings, vault),
        clock.monotonic,
        clock.now,
        lambda: vault.enrolment is None,
        system.BootMarker("set-up-slip-is-out", folder),
    )
    scanning = _scanning(settings, interlock, pacs, status_slips) if settings.scanner.device else None
    operating.also({"slips-release-wristband": interlock.release, "status-print": status_slips.print_status})
    return Box(
        settings=settings,
        spool=spool,
        journal=journal,
        vault=vault,
        acceptor=Acceptor(spool, receiving, clock.now, _limits(settings), wishes.serving),
        dicomweb=DicomwebServer(spool, receiving, clock.now, _clients(settings), frozenset(profiles)),
        control=ControlServer(folder, operating.command),
        receiving=receiving,
        relaying=Relaying(journal, spool, vault, manifesting, transitions, bell, clock.monotonic),
        linking=Linking(journal, vault, transitions, sealer, bell, clock.now),
        printing=printing,
        watch=watch,
        scanning=scanning,
        status_slips=status_slips,
        wishes=wishes,
        pacs=pacs,
        event_reports=EventReports(journal, wishes.requests, reporter, bell, clock.monotonic),
        sweeping=sweeping,
        trail=trail,
        delivering=delivering,
        sealer=sealer,
        doors=_doors(settings),
        web_door=_web_door(settings),
        listening=listening,
    )


def _terms(profile: Profile) -> LinkTerms:
    factor = FactorKind(profile.second_factor)
    return LinkTerms(
        factor,
        profile.expires_days,
        profile.grace_days,
        When(profile.print),
        interlock=profile.interlock == "wristband",
    )


def _rules(profile: Profile) -> ProfileRules:
    release = ReleaseRules(
        profile.hold_for_report, profile.approvals, profile.never_procedure_codes, profile.never_body_parts
    )
    return ProfileRules(profile.visit_hours * HOUR_S, profile.without_patient_id == "share", release)


def _peers(settings: Settings) -> Peers:
    return Peers(map(_known, settings.dicom.peer), UnknownPeers(settings.dicom.unknown_peers))


def _known(peer: PeerSettings) -> KnownPeer:
    return KnownPeer.of(peer.ae_title, peer.address, peer.certificate_sha256)


def _pacs(settings: Settings, spool: FileSpool, receiving: Receiving, clock: Callable[[], float]) -> DicomPacs | None:
    peer = next((peer for peer in settings.dicom.peer if settings.pacs.peer == peer.ae_title and peer.port), None)
    if peer is None:
        return None
    archive = Archive(peer.address, peer.port or 0, peer.ae_title)
    return DicomPacs(archive, settings.profile[0].ae_title, settings.pacs.retrieve, spool, receiving, clock)


def _scanning(settings: Settings, interlock: Interlock, pacs: PacsParts | None, status_slips: StatusSlips) -> Scanning:
    scanner, reads = open_scanner(settings.scanner.device), settings.scanner.reads
    if reads == "wristband" or pacs is None:
        return Scanning(scanner, interlock)
    pulls = ScannedPulls(pacs.desk, status_slips.print_notice, settings.scanner.profile)
    pacs.pulling.on_trouble = pulls.refused
    return Scanning(scanner, interlock if reads == "both" else None, pulls.take)


def _quotas(settings: Settings) -> list[Quota]:
    whose = [(_known(peer), peer.quota_gb) for peer in settings.dicom.peer]
    return [Quota(peer, round(gb * GB)) for peer, gb in (*whose, (None, settings.spool.quota_gb)) if gb is not None]


def _limits(settings: Settings) -> Limits:
    return Limits(storage_commitment=settings.dicom.storage_commitment == "refuse")


def _doors(settings: Settings) -> list[Door]:
    doors: list[Door] = [(settings.dicom.addresses, None)]
    for tls in settings.dicom.tls:
        context = dicom_tls.server_context(tls.certificate_file, tls.key_file, tls.client_ca_file, tls.asks)
        doors.append((tls.addresses, context))
    return doors


def _web_door(settings: Settings) -> Door:
    web = settings.dicomweb
    if not (web.listen and web.certificate_file):
        return web.addresses, None
    return web.addresses, dicom_tls.server_context(web.certificate_file, web.key_file, section="[dicomweb]")


def _clients(settings: Settings) -> list[Client]:
    return [_client(settings, client) for client in settings.dicomweb.client if settings.dicomweb.listen]


def _client(settings: Settings, client: DicomwebClient) -> Client:
    digest = tokens.read_sha256(tokens.place(settings.spool.path, client.name, client.token_file), client.name)
    profiles = frozenset(client.profiles or (profile.ae_title for profile in settings.profile))
    known = KnownPeer.of(client.name, client.address) if client.address else None
    return Client(client.name, digest, profiles, lambda address: known is None or known.is_at(client.name, address))


def slip_look(settings: Settings, public_url: str = "") -> SlipLook:
    """SettingsError when the logo is not there, LogoError when it cannot be printed."""
    site = settings.site
    looks = {
        profile.ae_title: ProfileLook(profile.copies, profile.language, profile.large_print, profile.staff_half)
        for profile in settings.profile
    }
    logo = _logo(site.logo_file)
    printer = settings.printer
    read_back_mm = printer.imager_feed_mm if printer.imager else None
    return SlipLook(site.name, site.phone, public_url, printer.paper_mm, site.language, logo, looks, read_back_mm)


def _logo(name: str) -> bytes:
    if not name:
        return b""
    try:
        with Path(name).open("rb") as file:
            data = file.read(slip_logo.FILE_BYTES_MAX + 1)
    except OSError as error:
        raise SettingsError(f"[site] logo_file {name} cannot be read: {error.strerror}") from error
    slip_logo.check(data)
    return data


def _repository(settings: Settings) -> SyslogRepository | None:
    audit = settings.audit
    if audit.repository is None:
        return None
    return SyslogRepository(*audit.repository, audit.ca_file, audit.certificate_file, audit.key_file)


def _source(settings: Settings, vault: HttpVault) -> Source:
    url = _vault_url(settings, vault)
    titles = tuple(profile.ae_title for profile in settings.profile)
    modern = settings.audit.codes == "csd-code"
    return Source(settings.site.name, socket.gethostname(), url, titles, modern)


def _machine() -> Machine:
    key, clock = machine.host_key_fingerprint(), machine.clock_is_synchronised()
    return Machine(socket.gethostname(), tuple(machine.addresses()), key, clock)


def _receivers(settings: Settings) -> dict[str, tuple[str, int]]:
    """AE titles that can be called."""
    peers = (peer for peer in settings.dicom.peer if "/" not in peer.address)
    return {peer.ae_title: (peer.address, peer.port) for peer in peers if peer.port}


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


def _vault_url(settings: Settings, vault: HttpVault) -> str:
    """The one that the box is enrolled with; before that, the one of the settings."""
    return vault.enrolment.url if vault.enrolment else settings.vault.url


def _surroundings(settings: Settings, vault: HttpVault, listening: list[str]) -> dict[str, Any]:
    return {
        "version": __version__,
        "site": settings.site.name,
        "listening": listening,
        "ae_titles": [profile.ae_title for profile in settings.profile],
        "enrolled": vault.enrolment is not None,
        "vault": _vault_url(settings, vault),
        "vault_error": vault.last_error if vault.enrolment else "",
        "clock_offset_s": round(vault.clock_offset_s, 1),
        "printer": settings.printer.device,
        "spool_free_bytes": system.free_bytes(settings.spool.path),
    }


async def write_enrolment(settings: Settings, enrolment: Enrolment) -> Path:
    path = settings.spool.path / ENROLMENT_NAME
    await asyncio.to_thread(system.write_secret, path, identity_file.encode(enrolment))
    return path
