"""The `slipway-vault` command. Exit status: 0 done, 1 the thing asked for failed, 2 wrong usage or settings."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from vault import config, serving
from vault.errors import VaultError
from vault.operations import Facts

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, add_completion=False, help="The vault: keeps what it cannot read.")
devices = typer.Typer(no_args_is_help=True, help="The boxes that may store shares here.")
app.add_typer(devices, name="devices")

ConfigFile = Annotated[Path, typer.Option("--config", help="The settings file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Ends the command with the error's sentence, its hint and its status."""
    try:
        return asyncio.run(work)
    except VaultError as error:
        _fail(error)


def _fail(error: VaultError) -> NoReturn:
    print(f"slipway-vault: {error.summary}\n{error.hint}", file=sys.stderr)
    raise typer.Exit(error.exit_status) from error


def _settings(path: Path) -> config.Settings:
    try:
        return config.load(path)
    except VaultError as error:
        _fail(error)


def _order(path: Path, **order: object) -> Facts:
    return _run(serving.order(_settings(path), order))


def _show(facts: Facts, *, as_json: bool, text: str) -> None:
    print(json.dumps(facts, ensure_ascii=False) if as_json else text)


def _date(seconds: object) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if isinstance(seconds, int) else "never"


@app.command()
def serve(config_file: ConfigFile = config.DEFAULT_FILE) -> None:
    """Run the service until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    _run(serving.serve(_settings(config_file)))


@app.command()
def enrol_code(name: str, config_file: ConfigFile = config.DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Make a code that enrols one box, once, within 15 minutes. NAME is how the box will be listed."""
    facts = _order(config_file, do="enrol-code", name=name)
    text = (
        f"{facts['code']}\nFor {facts['name']}, until {_date(facts['good_until'])}. On the box: slipway enrol URL CODE"
    )
    _show(facts, as_json=as_json, text=text)


@devices.command("list")
def devices_list(config_file: ConfigFile = config.DEFAULT_FILE, as_json: AsJson = False) -> None:
    """List the enrolled boxes."""
    facts = _order(config_file, do="devices-list")
    found = facts["devices"]
    lines = [_device_line(device) for device in found] if isinstance(found, list) else []
    _show(
        facts,
        as_json=as_json,
        text="\n".join(lines) or "No box is enrolled. slipway-vault enrol-code NAME makes a code.",
    )


def _device_line(device: Facts) -> str:
    state = (
        f"revoked {_date(device['revoked_at'])}"
        if device["revoked_at"]
        else f"last seen {_date(device['last_seen_at'])}"
    )
    return f"{device['device_id']}  {device['name']}  enrolled {_date(device['enrolled_at'])}  {state}"


@devices.command("revoke")
def devices_revoke(device: str, config_file: ConfigFile = config.DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Shut a box out, by its id or its name. Links that it made live on until they expire."""
    facts = _order(config_file, do="devices-revoke", device=device)
    _show(facts, as_json=as_json, text=f"{facts['name']} ({facts['device_id']}) is revoked.")


@app.command()
def sweep(config_file: ConfigFile = config.DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Delete now what the service would delete within a minute."""
    facts = _order(config_file, do="sweep")
    text = f"{facts['links_destroyed']} links destroyed, {facts['shares_deleted']} shares deleted."
    _show(facts, as_json=as_json, text=text)


@app.command()
def migrate(config_file: ConfigFile = config.DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Bring the ledger's schema up to date (`serve` does it too)."""
    facts = _order(config_file, do="migrate")
    _show(facts, as_json=as_json, text=f"The ledger is of schema version {facts['schema_version']}.")


def main() -> None:
    app()
