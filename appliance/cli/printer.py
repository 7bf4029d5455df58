"""`slipway printer`: what is plugged in, how it is, and a test page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from appliance.cli.output import DEFAULT_CONFIG, Config, Json, ask, load, print_json, print_table, run
from appliance.config import Settings
from appliance.errors import NotRunningError, PrinterUnreachableError

if TYPE_CHECKING:
    from appliance.ports import PrintOutcome

app = typer.Typer(no_args_is_help=True, help="The slip printer: list, status, test.")


@app.command("list")
def list_(config: Config = DEFAULT_CONFIG, *, json: Json = False) -> None:
    """Receipt printers on USB, with the words for [printer] device."""
    from appliance.adapters.printers import list_usb

    rows = [vars(printer) for printer in list_usb()]
    if json:
        print_json(rows)
    else:
        columns = list(rows[0]) if rows else []
        print_table(rows, columns, "No receipt printer on USB. Check its power and cable, then try again.")


@app.command()
def status(config: Config = DEFAULT_CONFIG, *, json: Json = False) -> None:
    """What the printer says of itself. Exit status 1 when it cannot print."""
    value = ask(config, "printer-status")
    if json:
        print_json(value)
    else:
        print("Ready to print." if value["ready"] else f"Not ready: {value['detail']}")
        print(f"  reachable {value['reachable']}, paper {value['paper']}, cover open {value['cover_open']}")
    if not value["ready"]:
        raise typer.Exit(1)


@app.command("test")
def print_test(config: Config = DEFAULT_CONFIG) -> None:
    """Print a slip whose code opens nothing: width, cutter and contrast at a glance."""
    from appliance.ports import PrintOutcome

    try:
        outcome = PrintOutcome(ask(config, "printer-test"))
    except NotRunningError:  # nobody else has the printer open
        outcome = _print_here(load(config))
    if outcome is not PrintOutcome.PRINTED:
        raise PrinterUnreachableError(f"the test slip was not confirmed ({outcome})")
    print("The test slip is out. Scan it: the phone must show https://slipway.test/")


def _print_here(settings: Settings) -> PrintOutcome:
    from appliance.adapters.printers import open_printer
    from appliance.daemon.compose import slip_look
    from appliance.daemon.specimen import specimen
    from appliance.formats import printer_profiles

    model = printer_profiles.find(settings.printer.model)
    job = specimen(slip_look(settings), model)
    return run(open_printer(settings.printer.device, model).print(job))
