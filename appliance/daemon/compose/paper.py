"""The printer's side of the box: what comes out, how it looks, and what staff say of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.adapters.printers import open_apart
from appliance.config import Settings
from appliance.daemon.compose.ground import Ground
from appliance.daemon.facing import ProfileLook, SlipLook
from appliance.daemon.interlock import Interlock
from appliance.daemon.printer_watch import PrinterWatch
from appliance.daemon.printing import Printing
from appliance.daemon.slip_desk import SlipDesk
from appliance.errors import SettingsError
from appliance.formats import printer_profiles, slip_logo
from appliance.ports import Printer

MINUTE_S = 60.0


@dataclass(frozen=True)
class PaperParts:
    printer: Printer
    model: printer_profiles.Profile
    watch: PrinterWatch
    desk: SlipDesk
    printing: Printing
    interlock: Interlock


def paper_parts(ground: Ground, printer_sockets: Path | None, vault_url: str) -> PaperParts:
    settings, transitions, clock = ground.settings, ground.transitions, ground.clock.now
    journal, sealer, bell = ground.journal, ground.sealer, ground.bell
    model = printer_profiles.find(settings.printer.model, settings.printer.density)
    model.dots(settings.printer.paper_mm)
    printer = open_apart(settings.printer.device, model, printer_sockets, imager=settings.printer.imager)
    watch = PrinterWatch(printer)
    job_ttl_s = settings.printer.job_ttl_minutes * MINUTE_S
    desk = SlipDesk(journal, transitions, watch, bell, clock, sealer, job_ttl_s=job_ttl_s)
    look = slip_look(settings, vault_url)
    patterns = {title: profile.interlock_pattern for title, profile in ground.profiles.items()}
    return PaperParts(
        printer,
        model,
        watch,
        desk,
        Printing(journal, printer, model, look, transitions, sealer, bell, clock, watch, desk),
        Interlock(journal, transitions, sealer, bell, clock, patterns),
    )


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
