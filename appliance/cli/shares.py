"""`slipway shares`: what patients were given."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, print_json, print_table
from appliance.cli.story import head_lines, story_lines

app = typer.Typer(no_args_is_help=True, help="What patients were given: list, show, revoke, extend, release.")

ShareId = Annotated[str, typer.Argument(help="The share's id, or how it begins.", metavar="ID")]
COLUMNS = ("id", "state", "patient", "images", "at_vault", "profile", "opened_at", "held_because")


@app.command("list")
def list_(
    config: Config = DEFAULT_CONFIG,
    *,
    held: Annotated[bool, typer.Option("--held", help="Only those that wait for a person.")] = False,
    json: Json = False,
) -> None:
    """The newest first."""
    rows = ask(config, "shares-list", held=held)
    if json:
        print_json(rows)
    else:
        print_table(rows, COLUMNS, "No share yet: send a study to the box's AE title.")


@app.command()
def show(share: ShareId, config: Config = DEFAULT_CONFIG, *, json: Json = False) -> None:
    """The whole story of a share."""
    _tell(ask(config, "shares-show", id=share), json=json)


@app.command()
def revoke(
    share: ShareId,
    config: Config = DEFAULT_CONFIG,
    *,
    why: Annotated[str, typer.Option(help="For the record; no patient's data.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """End a share for good: its links die at once, its images are deleted."""
    if not yes:
        typer.confirm("The slip will stop working and the images will be deleted from the vault. Go on?", abort=True)
    _tell(ask(config, "shares-revoke", id=share, why=why), json=json)


@app.command()
def extend(
    share: ShareId,
    config: Config = DEFAULT_CONFIG,
    *,
    days: Annotated[float, typer.Option(min=0.01, max=400, help="Days from now.")] = 7,
    json: Json = False,
) -> None:
    """Give the slip more time, also after it has expired; the paper stays the same."""
    _tell(ask(config, "shares-extend", id=share, days=days), json=json)


@app.command()
def release(share: ShareId, config: Config = DEFAULT_CONFIG, *, why: str = "", json: Json = False) -> None:
    """Hand out a held share as it is: its own slip, joined with nothing."""
    _tell(ask(config, "shares-release", id=share, why=why), json=json)


def _tell(share: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(share)
        return
    print(*head_lines(share), *story_lines(share), sep="\n")
