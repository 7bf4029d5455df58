"""Puts the commands together and turns errors into sentences and exit status."""

from __future__ import annotations

import sys

import typer
from typer.core import TyperGroup

from appliance import __version__
from appliance.cli import audit, box, doctor, enrol, opening, peers, printer, pull, requests, settings, shares, slips
from appliance.cli.output import complain
from appliance.errors import SlipwayError


class OrderedGroup(TyperGroup):
    """Lists the commands in the order in which people meet them."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(self.commands)


app = typer.Typer(
    name="slipway",
    cls=OrderedGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A patient's images as a paper slip: DICOM in, sealed to a vault that cannot read them, one code out.",
)
app.command("run")(box.run)
app.command("status")(box.status)
app.command("doctor")(doctor.doctor)
app.command("enrol")(enrol.enrol)
app.add_typer(shares.app, name="shares")
app.add_typer(slips.app, name="slips")
app.add_typer(requests.app, name="requests")
app.add_typer(printer.app, name="printer")
app.add_typer(peers.app, name="peers")
app.add_typer(pull.app, name="pull")
app.add_typer(audit.app, name="audit")
app.command("open")(opening.open_link)
app.add_typer(settings.app, name="settings")


def _version(value: bool) -> None:
    if value:
        print(f"slipway {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *, version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version.")
) -> None:
    pass


def main() -> None:
    try:
        app()
    except SlipwayError as error:
        complain(error)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)
