"""`slipway pull`: a study from the PACS, by a number that is on the request form."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from appliance.cli import requests
from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, load, print_json, print_table
from appliance.errors import SlipwayError

EVERY_S = 0.5
CHOICES = ("study", "date", "modality", "description", "images", "patient")
COLUMNS = ("id", "state", "asked_by", "profile", "images", "of", "share", "trouble")
ENDED = ("done", "failure", "cancelled")

app = typer.Typer(
    invoke_without_command=True,
    help="Fetch a study from the PACS and share it: by accession number, study or patient. And: list, cancel.",
)


def _profiles(context: typer.Context, typed: str) -> list[str]:
    """For the shell's completion."""
    try:
        settings = load(Path(context.params.get("config") or DEFAULT_CONFIG))
    except SlipwayError:
        return []
    return [profile.ae_title for profile in settings.profile if profile.ae_title.startswith(typed)]


@app.callback()
def pull(
    context: typer.Context,
    config: Config = DEFAULT_CONFIG,
    *,
    accession: Annotated[str, typer.Option(metavar="NUMBER", help="The accession number on the request form.")] = "",
    study: Annotated[str, typer.Option(metavar="UID", help="A Study Instance UID.")] = "",
    patient: Annotated[
        str, typer.Option(metavar="ID", help="A Patient ID; of several studies you are asked which.")
    ] = "",
    to: Annotated[str, typer.Option(help="The profile; without it, the first.", autocompletion=_profiles)] = "",
    all_: Annotated[bool, typer.Option("--all", help="Every study of that patient.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the slip.")] = False,
    json: Json = False,
) -> None:
    if context.invoked_subcommand:
        return
    if sum(map(bool, (accession, study, patient))) != 1:
        raise typer.BadParameter("give one of --accession, --study and --patient")
    in_place = sys.stdout.isatty() and not json
    if in_place:  # it may take a minute
        print("asking the PACS", end="", flush=True)
    try:
        said = ask(config, "pull", accession=accession, study=study, patient=patient, profile=to, all=all_)
    finally:
        if in_place:
            print("\r\x1b[K", end="", flush=True)
    if "choose" in said:
        _choose(said, json=json)
    wait = not (no_wait or (said["already"] and "id" not in said))
    if wait:
        said |= _follow(config, said, quiet=json)
    if json:
        print_json(said)
    else:
        _tell(said, waited=wait)
    if said.get("state") in ("failure", "cancelled"):
        raise typer.Exit(1)


def _choose(said: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(said)
    else:
        print_table(said["choose"], CHOICES, "")
        print(f"\n{said['why'][0].upper()}{said['why'][1:]}.")
    raise typer.Exit(1)


def _follow(config: Path, said: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Until its slip is out and its study judged, or nothing more will come of it by itself."""
    in_place = sys.stdout.isatty() and not quiet
    try:
        while not _has_ended(said):
            time.sleep(EVERY_S)
            said = ask(config, "pull-show", id=said["id"])
            if in_place:
                print(f"\r\x1b[K{_progress(said)}", end="", flush=True)
    except KeyboardInterrupt:
        print(
            f"\nRequest {said['id']} goes on by itself: slipway pull list. To end it: slipway pull cancel {said['id']}"
        )
        raise typer.Exit(130) from None
    if in_place:
        print("\r\x1b[K", end="")
    return said


def _has_ended(said: dict[str, Any]) -> bool:
    printed = any(slip["state"] not in ("queued", "printing") for slip in said["slips"])
    return said["state"] in ENDED or said["held"] or (printed and bool(said["verdict"]))


def _progress(said: dict[str, Any]) -> str:
    if said["trouble"]:
        return f"{said['trouble']}; trying again"
    return f"{said['images']} of {said['of']} images" if said["of"] else "asking the PACS"


def _tell(said: dict[str, Any], *, waited: bool) -> None:
    slips = ", ".join(slip["number"] for slip in said["slips"])
    if said.get("already") and not waited:
        print(f"Already shared: share {said['share']}" + (f", slip {slips}." if slips else "."))
    elif said["state"] in ("failure", "cancelled"):
        print(
            f"Request {said['id']}: {said['state']}."
            + (f" {said['trouble']}. {said['hint']}" if said["trouble"] else "")
        )
    elif said["held"]:
        print(f"Share {said['share']} waits for a person: slipway shares show {said['share']}")
    elif not waited:
        print(f"Request {said['id']} is under way: slipway pull list")
    else:
        print(f"Slip {slips}: {said['verdict']}." if slips else f"Share {said['share']}: {said['verdict']}.")


@app.command("list")
def list_(config: Config = DEFAULT_CONFIG, *, json: Json = False) -> None:
    """What was pulled in the last three days, and how far it is."""
    rows = ask(config, "pull-list")
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, "Nothing was pulled: slipway pull --accession NUMBER")


app.command("cancel")(requests.cancel)
