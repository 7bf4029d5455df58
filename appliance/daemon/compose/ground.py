"""What every part of the box stands on: disk, keys, clock, and what each profile means."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.adapters import system
from appliance.adapters.journal import SqliteJournal
from appliance.adapters.spool import FileSpool
from appliance.config import Profile, Settings
from appliance.core.release_rules import ReleaseRules
from appliance.daemon.auditing import Trail
from appliance.daemon.bell import Bell
from appliance.daemon.minting import LinkTerms, When
from appliance.daemon.placing import ProfileRules
from appliance.daemon.transitions import Transitions
from appliance.formats.envelope import FactorKind
from appliance.formats.sealed import Sealer

HOUR_S = 3600.0


@dataclass(frozen=True)
class Ground:
    settings: Settings
    clock: system.SystemClock
    sealer: Sealer
    spool: FileSpool
    journal: SqliteJournal
    bell: Bell
    transitions: Transitions

    @property
    def trail(self) -> Trail:
        return self.transitions.trail

    @property
    def profiles(self) -> dict[str, Profile]:
        return {profile.ae_title: profile for profile in self.settings.profile}

    @property
    def rules(self) -> dict[str, ProfileRules]:
        return {title: _rules(profile) for title, profile in self.profiles.items()}


def lay_ground(settings: Settings) -> Ground:
    folder, clock = settings.spool.path, system.SystemClock()
    sealer = Sealer(system.load_spool_key(folder, settings.spool.key_file))
    terms = {profile.ae_title: _terms(profile) for profile in settings.profile}
    return Ground(
        settings,
        clock,
        sealer,
        FileSpool(folder / "spool", sealer, spare_files=settings.spool.spare_files),
        SqliteJournal(folder / "journal.db"),
        Bell(),
        Transitions(terms, sealer, clock.now),
    )


def _terms(profile: Profile) -> LinkTerms:
    return LinkTerms(
        FactorKind(profile.second_factor),
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
