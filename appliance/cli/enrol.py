"""`slipway enrol URL CODE`: makes the box known to its vault."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from appliance.adapters import control
from appliance.cli.output import DEFAULT_CONFIG, Config, load, run
from appliance.config import Settings, parse
from appliance.errors import NotRunningError, SettingsError


def enrol(
    url: Annotated[str, typer.Argument(help="The vault's address, https://…", metavar="URL")],
    code: Annotated[str, typer.Argument(help="The operator's code, XXXX-XXXX-XXXX-XXXX.", metavar="CODE")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Enrol this box with a vault. The key is made here and never leaves the box."""
    settings = load(config)
    url = parse({"vault": {"url": url}}, "URL").vault.url
    if settings.vault.url and settings.vault.url != url:
        raise SettingsError(f"[vault] url is {settings.vault.url}, not {url}", hint="Correct one of the two.")
    running = run(_enrol(settings, url, code))
    print(f"This box is enrolled with {url}.")
    print("The running service uses it from now on." if running else "Start the service: systemctl start slipway")


async def _enrol(settings: Settings, url: str, code: str) -> bool:
    from appliance.adapters import vault as vault_adapter
    from appliance.daemon.compose import write_enrolment

    enrolment = await vault_adapter.enrol(url, code, settings.vault.ca_file, time.time)
    await write_enrolment(settings, enrolment)
    try:
        await control.call(settings.spool.path, "reload", {})
    except NotRunningError:
        return False
    return True
