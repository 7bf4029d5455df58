"""The vault's side of the box, and the hospital's audit repository: whatever leaves the building."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.adapters import system
from appliance.adapters.audit_repository import SyslogRepository
from appliance.adapters.vault import HttpVault
from appliance.config import Settings
from appliance.daemon.compose.ground import Ground
from appliance.daemon.delivering import Delivering
from appliance.daemon.linking import Linking
from appliance.daemon.manifesting import Manifesting
from appliance.daemon.relaying import Relaying
from appliance.errors import SettingsError
from appliance.formats import identity_file
from appliance.formats.audit_message import Source
from appliance.formats.identity_file import Enrolment

ENROLMENT_NAME = "enrolment.json"


@dataclass(frozen=True)
class CloudParts:
    relaying: Relaying
    linking: Linking
    delivering: Delivering | None
    source: Callable[[], Source]  # of audit messages; the vault's address may change while the box runs


def cloud_parts(ground: Ground, vault: HttpVault) -> CloudParts:
    settings, transitions, journal, clock = ground.settings, ground.transitions, ground.journal, ground.clock
    manifesting = Manifesting(journal, ground.sealer, settings.site.name, settings.site.language, transitions)

    def source() -> Source:
        return _source(settings, vault)

    repository = _repository(settings)
    return CloudParts(
        Relaying(journal, ground.spool, vault, manifesting, transitions, ground.bell, clock.monotonic),
        Linking(journal, vault, transitions, ground.sealer, ground.bell, clock.now),
        Delivering(journal, ground.trail, repository, source) if repository else None,
        source,
    )


def _repository(settings: Settings) -> SyslogRepository | None:
    audit = settings.audit
    if audit.repository is None:
        return None
    return SyslogRepository(*audit.repository, audit.ca_file, audit.certificate_file, audit.key_file)


def _source(settings: Settings, vault: HttpVault) -> Source:
    url = vault_url(settings, vault)
    titles = tuple(profile.ae_title for profile in settings.profile)
    modern = settings.audit.codes == "csd-code"
    return Source(settings.site.name, socket.gethostname(), url, titles, modern)


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


async def write_enrolment(settings: Settings, enrolment: Enrolment) -> Path:
    path = settings.spool.path / ENROLMENT_NAME
    await asyncio.to_thread(system.write_secret, path, identity_file.encode(enrolment))
    return path


def vault_url(settings: Settings, vault: HttpVault) -> str:
    """The one that the box is enrolled with; before that, the one of the settings."""
    return vault.enrolment.url if vault.enrolment else settings.vault.url
