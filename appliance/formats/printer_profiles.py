"""What each printer model can do: how many dots a line has, whether it cuts, and how it says that a slip is out.

Ours first; python-escpos's own database for models that it knows and we do not. No bytes here; those are `escpos`.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from appliance.errors import SettingsError

NARROWEST_DOTS = 320  # a customer display is not a printer
GRID_DOTS = 8  # a raster line is whole bytes
LINES_180_DPI = (512, 504)  # printable dots on 80 mm paper at 180 dpi; at 203 dpi it is 546 and more
MM_AN_INCH = 25.4
WIDEST_58_DOTS = 432  # a line longer than that needs 80 mm paper
NO_DENSITY_HINT = (
    "Leave [printer] density out, and set it at the printer: its menu, its switches or its maker's program."
)
UNFIT_HINT = (
    "Use another printer (docs/printers.md). If its own manual says how it is switched to ESC/POS, "
    'do that, set [printer] model = "generic-80", and look at what slipway printer test prints.'
)


class Confirmation(StrEnum):
    """How a model answers for a slip, best first."""

    PROCESS_ID = "process-id"  # GS ( H function 48: an answer when the printing is over
    STATUS = "status"  # fit to print before and after; GS r in its turn, or else a person, says that it got through
    NONE = "none"  # never answers: a person looks


@dataclass(frozen=True)
class Profile:
    model: str
    dots_58: int  # printable dots a line on 58 mm paper; 0: does not take it
    dots_80: int  # the same on 80 mm paper
    cutter: bool
    confirmation: Confirmation
    real_time: bool = True  # answers DLE EOT at once, whatever it is doing
    in_turn: bool = True  # answers GS r when it has worked through what came before
    automatic: bool = False  # tells by itself when paper, cover or an error changes (GS a)
    clears: bool = False  # forgets what it holds when told to (DLE DC4 function 8)
    palest: int = 0  # the range of GS ( K function 49; both 0: it has no such command
    darkest: int = 0
    density: int = 0  # as the settings want it; 0: as the printer itself is set up

    @property
    def dots_per_mm(self) -> float:
        return (180 if self.dots_80 in LINES_180_DPI else 203) / MM_AN_INCH

    def dots(self, paper_mm: int) -> int:
        """The slip's width on this paper. Raises SettingsError where the printer has no such paper."""
        line = {58: self.dots_58, 80: self.dots_80}.get(paper_mm, 0)
        if not line:
            fitting = " or ".join(str(mm) for mm, dots in ((58, self.dots_58), (80, self.dots_80)) if dots)
            raise SettingsError(
                f"the printer {self.model} takes no paper of {paper_mm} mm",
                hint=f"Set [printer] paper_mm = {fitting}, or correct [printer] model.",
            )
        return line // GRID_DOTS * GRID_DOTS


def find(model: str, density: int = 0) -> Profile:
    """The profile of `model`, in any case of letters. Raises SettingsError, which names the nearest ones."""
    wanted = model.strip().casefold()
    for table in (_ours, _library):
        for name, profile in table().items():
            if name.casefold() == wanted:
                return _printing(profile, density)
    for name, reason in _unfit().items():
        if name.casefold() == wanted:
            raise SettingsError(f"the printer {name} {reason}", hint=UNFIT_HINT)
    raise SettingsError(f"no printer model is called {model!r}", hint=_nearest(model))


def _printing(profile: Profile, density: int) -> Profile:
    if density and not profile.palest <= density <= profile.darkest:
        has = profile.palest or profile.darkest
        hint = f"It takes {profile.palest} to {profile.darkest}." if has else NO_DENSITY_HINT
        raise SettingsError(f"the printer {profile.model} cannot be told a density of {density}", hint=hint)
    return replace(profile, density=density)


def models() -> list[str]:
    """All names that `find` takes."""
    return sorted({**_library(), **_ours()}, key=str.casefold)


def _nearest(model: str) -> str:
    known = {name.casefold(): name for name in models()}
    close = [known[name] for name in difflib.get_close_matches(model.strip().casefold(), known, n=3, cutoff=0.4)]
    if close:
        return f"Near ones: {', '.join(close)}. Otherwise set [printer] model to generic-80 or generic-58."
    return "Set [printer] model to generic-80 or generic-58; docs/printers.md lists the others."


@cache
def _rows() -> dict[str, Any]:
    rows: dict[str, Any] = json.loads(files("appliance.formats").joinpath("printer_profiles.json").read_text("utf-8"))
    return rows


@cache
def _ours() -> dict[str, Profile]:
    return {name: _from_row(name, row) for name, row in _rows()["models"].items()}


@cache
def _unfit() -> dict[str, str]:
    """Who cannot print slips, and why."""
    return dict(_rows()["unfit"])


def _from_row(name: str, row: dict[str, Any]) -> Profile:
    """`row` names what differs from other models that confirm in the same way."""
    confirmation = Confirmation(row["confirmation"])
    epson, mute = confirmation is Confirmation.PROCESS_ID, confirmation is Confirmation.NONE
    palest, darkest = row.get("density", (0, 0))
    return Profile(
        name,
        row["58"],
        row["80"],
        row["cutter"],
        confirmation,
        real_time=row.get("real_time", not mute),
        in_turn=row.get("in_turn", not mute),
        automatic=row.get("automatic", epson),
        clears=row.get("clears", epson),
        palest=palest,
        darkest=darkest,
    )


@cache
def _library() -> dict[str, Profile]:
    """Printers of python-escpos's database that print raster lines of a known width.

    It does not say who answers what. `status` is the safe guess: a printer that cannot answer refuses its first slip
    with a sentence that says so, instead of claiming slips that nobody saw.
    """
    from appliance.formats.escpos import library  # late: it takes 0.2 s to load and only foreign models need it

    profiles = library().capabilities.CAPABILITIES["profiles"]
    return {name: _from_library(name, row) for name, row in profiles.items() if _usable(row)}


def _usable(row: dict[str, dict[str, dict[str, object]]]) -> bool:
    dots = row["media"]["width"].get("pixels")
    return bool(row["features"].get("bitImageRaster")) and isinstance(dots, int) and dots >= NARROWEST_DOTS


def _from_library(name: str, row: dict[str, dict[str, dict[str, int]]]) -> Profile:
    dots = row["media"]["width"]["pixels"]
    features = row["features"]
    cutter = bool(features.get("paperFullCut") or features.get("paperPartCut"))
    narrow = dots <= WIDEST_58_DOTS
    return Profile(name, dots if narrow else 0, 0 if narrow else dots, cutter, Confirmation.STATUS)
