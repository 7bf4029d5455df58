"""How images come in: who may send, by which doors, and where each goes."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass

from appliance.adapters import dicom_tls, system, tokens
from appliance.adapters.acceptor import Acceptor
from appliance.adapters.association import Limits
from appliance.adapters.dicomweb import DicomwebServer
from appliance.adapters.web_admission import Client
from appliance.config import DicomwebClient, PeerSettings, Settings
from appliance.daemon.alerts import Alerts
from appliance.daemon.compose.ground import Ground
from appliance.daemon.peers import KnownPeer, Peers, UnknownPeers
from appliance.daemon.placing import Placing
from appliance.daemon.quotas import GB, Quota, Quotas
from appliance.daemon.receiving import Receiving
from appliance.daemon.releasing import Releasing
from appliance.daemon.transfers import Transfers
from appliance.errors import SettingsError
from appliance.ports import Services

log = logging.getLogger("slipway.receiving")

Door = tuple[tuple[tuple[str, int], ...], ssl.SSLContext | None]  # addresses, and TLS or not


@dataclass(frozen=True)
class ReceptionParts:
    releasing: Releasing
    transfers: Transfers
    receiving: Receiving
    acceptor: Acceptor
    dicomweb: DicomwebServer
    without_token: tuple[str, ...]  # clients of the settings that are refused, as nobody can tell who they are
    doors: list[Door]
    web_door: Door


def reception_parts(ground: Ground, services: Services) -> ReceptionParts:
    settings, transitions, sealer, clock = ground.settings, ground.transitions, ground.sealer, ground.clock.now
    folder, rules, titles = settings.spool.path, ground.rules, frozenset(ground.profiles)
    releasing = Releasing({title: one.release for title, one in rules.items()}, transitions, sealer, clock)
    placing = Placing(rules, transitions, releasing, sealer, clock)
    transfers, alerts = Transfers(ground.trail, sealer), Alerts(ground.trail, clock)
    quotas = Quotas(_quotas(settings), settings.spool.fill_percent / 100, lambda: system.filled(folder))
    peers = Peers(map(_known, settings.dicom.peer), UnknownPeers(settings.dicom.unknown_peers))
    receiving = Receiving(ground.journal, ground.spool, placing, peers, titles, ground.bell, transfers, quotas, alerts)
    clients, without_token = _clients(settings)
    return ReceptionParts(
        releasing,
        transfers,
        receiving,
        Acceptor(ground.spool, receiving, clock, _limits(settings), services),
        DicomwebServer(ground.spool, receiving, clock, clients, titles),
        without_token,
        _doors(settings),
        _web_door(settings),
    )


def _known(peer: PeerSettings) -> KnownPeer:
    return KnownPeer.of(peer.ae_title, peer.address, peer.certificate_sha256)


def _quotas(settings: Settings) -> list[Quota]:
    whose = [(_known(peer), peer.quota_gb) for peer in settings.dicom.peer]
    senders = (client for client in settings.dicomweb.client if client.quota_gb is not None)
    whose += [(KnownPeer.of(client.name, client.address), client.quota_gb) for client in senders]
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


def _clients(settings: Settings) -> tuple[list[Client], tuple[str, ...]]:
    """Who may send over HTTP; and the names of those whose token is missing, for which nobody else's images wait."""
    clients, without_token = [], []
    for client in settings.dicomweb.client if settings.dicomweb.listen else ():
        try:
            clients.append(_client(settings, client))
        except SettingsError as error:
            without_token.append(client.name)
            log.error("%s cannot send over DICOMweb: %s. %s", client.name, error.summary, error.hint)
    return clients, tuple(without_token)


def _client(settings: Settings, client: DicomwebClient) -> Client:
    digest = tokens.read_sha256(tokens.place(settings.spool.path, client.name, client.token_file), client.name)
    profiles = frozenset(client.profiles or (profile.ae_title for profile in settings.profile))
    known = KnownPeer.of(client.name, client.address) if client.address else None
    return Client(client.name, digest, profiles, lambda address: known is None or known.is_at(client.name, address))
