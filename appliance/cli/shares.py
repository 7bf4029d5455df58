"""`slipway shares`: what patients were given, and what is held for a person."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from appliance.cli.held import held_lines
from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, print_json, print_table, quietly
from appliance.cli.story import head_lines, story_lines

app = typer.Typer(
    no_args_is_help=True, help="What patients were given: list, show, revoke, extend, release, resolve, hold, print."
)

COLUMNS = ("id", "state", "patient", "images", "at_vault", "profile", "opened_at", "held_because")
HELD_COLUMNS = ("id", "patient", "images", "profile", "opened_at", "held_because", "waits_for")
DECISIONS = {"same": "same-person", "two": "two-people", "discard": "discard", "nothing": ""}


def _ids(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """For the shell's completion: quick, and silent where there is no box to ask."""
    shares = quietly(ctx.params.get("config") or DEFAULT_CONFIG, "shares-ids") or []
    return [(share["id"], share["state"]) for share in shares if share["id"].startswith(incomplete)]


ShareId = Annotated[str, typer.Argument(help="The share's id, or how it begins.", metavar="ID", autocompletion=_ids)]
Why = Annotated[str, typer.Option(help="For the record; no patient's data.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("list")
def list_(
    config: Config = DEFAULT_CONFIG,
    *,
    held: Annotated[bool, typer.Option("--held", help="Only those that wait, and for whom or what.")] = False,
    json: Json = False,
) -> None:
    """The newest first."""
    rows = ask(config, "shares-list", held=held)
    if json:
        print_json(rows)
    elif held:
        print_table(rows, HELD_COLUMNS, "No share is held.")
    else:
        print_table(rows, COLUMNS, "No share yet: send a study to the box's AE title.")


@app.command()
def show(share: ShareId, config: Config = DEFAULT_CONFIG, *, json: Json = False) -> None:
    """The whole story of a share; of one that is held, both patients side by side."""
    _tell(ask(config, "shares-show", id=share), json=json)


@app.command()
def revoke(
    share: ShareId, config: Config = DEFAULT_CONFIG, *, why: Why = "", yes: Yes = False, json: Json = False
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
def release(
    share: ShareId,
    config: Config = DEFAULT_CONFIG,
    *,
    why: Why = "",
    without_report: Annotated[
        bool, typer.Option("--without-report", help="Also where its profile waits for the report.")
    ] = False,
    json: Json = False,
) -> None:
    """Hand out a held share as it is. Where several people must, this is one of them."""
    _tell(ask(config, "shares-release", id=share, why=why, without_report=without_report), json=json)


@app.command()
def resolve(
    share: ShareId,
    config: Config = DEFAULT_CONFIG,
    *,
    same_person: Annotated[bool, typer.Option("--same-person", help="Its images join the other share.")] = False,
    two_people: Annotated[bool, typer.Option("--two-people", help="It gets a slip of its own.")] = False,
    discard: Annotated[bool, typer.Option("--discard", help="None of it leaves the box.")] = False,
    with_: Annotated[
        str,
        typer.Option("--with", metavar="ID", help="The other share, where the box knows none.", autocompletion=_ids),
    ] = "",
    why: Why = "",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Say whose images a held share has; without an option both patients are shown, and you are asked."""
    given = {"same-person": same_person, "two-people": two_people, "discard": discard}
    chosen = [decision for decision, is_given in given.items() if is_given]
    if len(chosen) > 1 or (not chosen and not sys.stdin.isatty()):
        raise typer.BadParameter("give one of --same-person, --two-people and --discard")
    decision = chosen[0] if chosen else _ask_decision(ask(config, "shares-show", id=share))
    if not decision:
        return
    if decision == "discard" and not yes:
        typer.confirm("Its images will be deleted from the box and reach nobody. Go on?", abort=True)
    _tell(ask(config, "shares-resolve", id=share, decision=decision, why=why, **{"with": with_}), json=json)


@app.command()
def hold(share: ShareId, config: Config = DEFAULT_CONFIG, *, why: Why = "", json: Json = False) -> None:
    """Take an open share back: its slip dies at once, and a person decides anew."""
    _tell(ask(config, "shares-hold", id=share, why=why), json=json)


@app.command("print")
def print_(share: ShareId, config: Config = DEFAULT_CONFIG, *, why: Why = "", json: Json = False) -> None:
    """Print the first slip now, where the profile waits for a request or for the whole study."""
    _tell(ask(config, "shares-print", id=share, why=why), json=json)


def _ask_decision(share: dict[str, Any]) -> str:
    """ "" when nothing is to be decided."""
    _tell(share, json=False)
    if not share.get("held"):
        return ""
    answer: str = typer.prompt(f"Decide ({', '.join(DECISIONS)})", default="nothing")
    if answer not in DECISIONS:
        raise typer.BadParameter(f"{answer} is none of {', '.join(DECISIONS)}")
    return DECISIONS[answer]


def _tell(share: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(share)
        return
    if share.get("said"):
        print(share["said"])
    print(*head_lines(share), *story_lines(share), *held_lines(share), sep="\n")
