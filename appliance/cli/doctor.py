"""`slipway doctor`: checks one thing after the other and says what to do about each that is wrong.

Here and in its neighbours, what only one command needs is imported by that command: the others answer sooner.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from appliance import config as settings_file
from appliance.adapters import control
from appliance.cli.output import DEFAULT_CONFIG, Config, Json, mark, print_json
from appliance.config import Settings
from appliance.core.health import LOW_SPACE_BYTES
from appliance.errors import SlipwayError
from appliance.formats.languages import LANGUAGES

CLOCK_TOLERANCE_S = 60.0
EXPIRES_SOON = timedelta(days=30)  # hospitals' authorities take weeks


class SoonError(SlipwayError):
    """Nothing is wrong yet."""


def doctor(config: Config = DEFAULT_CONFIG, *, json: Json = False) -> None:
    """Check settings, service, vault, clock, printer, slip and disk. Exit status 1 when one of them is wrong."""
    findings: list[dict[str, str]] = []
    settings = _check(findings, "settings", lambda: settings_file.load(config))
    if isinstance(settings, Settings):
        for name, check in (_CHECKS | (_TLS_CHECK if _has_tls(settings) else {})).items():
            _check(findings, name, lambda check=check: check(settings))  # type: ignore[misc]
    if json:
        print_json(findings)
    else:
        for finding in findings:
            print(f"{mark(finding['level'])} {finding['name']}: {finding['what']}")
            if finding["do"]:
                print(f"    {finding['do']}")
    if any(finding["level"] == "problem" for finding in findings):
        raise typer.Exit(1)


def _check(findings: list[dict[str, str]], name: str, check: Callable[[], Any]) -> Any:
    try:
        result = check()
    except SlipwayError as error:
        level = "notice" if isinstance(error, SoonError) else "problem"
        findings.append({"name": name, "level": level, "what": error.summary, "do": error.hint})
        return None
    what = result if isinstance(result, str) else "fine"
    findings.append({"name": name, "level": "ok", "what": what, "do": ""})
    return result


def _service(settings: Settings) -> str:
    facts = asyncio.run(control.call(settings.spool.path, "status", {}))
    return f"running, listening on {', '.join(facts['listening'])}"


def _vault(settings: Settings) -> str:
    from appliance.adapters.vault import HttpVault
    from appliance.daemon.compose import read_enrolment

    enrolment = read_enrolment(settings)
    vault = HttpVault(enrolment, settings.vault.ca_file, time.time)

    async def ask() -> float:
        try:
            await vault.check()
        finally:
            await vault.close()
        return vault.clock_offset_s

    offset = asyncio.run(ask())
    if abs(offset) > CLOCK_TOLERANCE_S:
        hint = "Let the box reach a time server; slips stay right, as the vault's clock decides."
        raise SlipwayError(f"reachable, but this box's clock is {offset:+.0f} s off", hint=hint)
    return f"reachable and genuine, clock within {abs(offset):.0f} s"


def _printer(settings: Settings) -> str:
    from appliance.adapters.printers import open_printer
    from appliance.formats import printer_profiles

    printer = open_printer(
        settings.printer.device, printer_profiles.find(settings.printer.model, settings.printer.density)
    )
    status = asyncio.run(printer.status())
    if not status.ready:
        raise SlipwayError(status.detail or "not ready", hint="See `slipway printer status` and docs/printers.md.")
    return f"{settings.printer.device} is ready"


def _slip(settings: Settings) -> str:
    from appliance.daemon.compose import slip_look
    from appliance.formats import slip_fonts

    look = slip_look(settings)
    slip_fonts.check()
    return f"fonts for {len(LANGUAGES)} languages{', and the logo' if look.logo else ''}"


def _disk(settings: Settings) -> str:
    from appliance.adapters import system

    folder: Path = settings.spool.path
    if not folder.exists():
        raise SlipwayError(f"{folder} does not exist", hint="Start the service once, or make the folder.")
    free = system.free_bytes(folder)
    if free < LOW_SPACE_BYTES:
        raise SlipwayError(f"only {free >> 20} MB are free under {folder}", hint="Free space or use a larger disk.")
    return f"{free >> 30} GiB free under {folder}"


def _has_tls(settings: Settings) -> bool:
    return bool(settings.dicom.tls or (settings.dicomweb.listen and settings.dicomweb.certificate_file))


def _tls(settings: Settings) -> str:
    from appliance.adapters import dicom_tls

    expiries = []
    for tls in settings.dicom.tls:
        dicom_tls.server_context(tls.certificate_file, tls.key_file, tls.client_ca_file, tls.asks)
        for key, path in (("certificate_file", tls.certificate_file), ("client_ca_file", tls.client_ca_file)):
            if path:
                expiries += [(expires, path) for expires in dicom_tls.expiries(path, key)]
    web = settings.dicomweb
    if web.listen and web.certificate_file:
        dicom_tls.server_context(web.certificate_file, web.key_file, section="[dicomweb]")
        path = web.certificate_file
        expiries += [(expires, path) for expires in dicom_tls.expiries(path, "certificate_file", "[dicomweb]")]
    expires, path = min(expiries)
    hint = f"Have it renewed, put the new one into {path} and restart the service: systemctl restart slipway."
    if expires <= datetime.now(UTC):
        raise SlipwayError(f"a certificate in {path} expired on {expires:%Y-%m-%d}", hint=hint)
    if expires <= datetime.now(UTC) + EXPIRES_SOON:
        raise SoonError(f"a certificate in {path} expires on {expires:%Y-%m-%d}", hint=hint)
    return f"certificates are good until {expires:%Y-%m-%d}"


_CHECKS: dict[str, Callable[[Settings], str]] = {
    "service": _service,
    "vault": _vault,
    "printer": _printer,
    "slip": _slip,
    "disk": _disk,
}
_TLS_CHECK: dict[str, Callable[[Settings], str]] = {"tls": _tls}
