"""Writes README.md's tables from bom.json; with --check, says whether they agree, and that the printers' models exist.

Standard library only, as it runs in tests/check_units.sh.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
README = HERE / "README.md"
PROFILES = HERE.parent / "appliance/formats/printer_profiles.json"
ITEM_KEYS = {"role", "name", "for", "why", "check", "evidence", "tried"}


def row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def requirements(bom: dict[str, Any]) -> list[str]:
    rows = [row(item["part"], item["need"], item["why"]) for item in bom["requirements"]]
    return [row("part", "need", "why"), row("---", "---", "---"), *rows]


def parts(bom: dict[str, Any], roles: tuple[str, ...]) -> list[str]:
    rows = [
        row(
            item["name"],
            f"`{item['model']}`" if "model" in item else item["role"],
            item["for"],
            item["why"],
            item["check"],
            item["evidence"],
            "yes" if item["tried"] else "no",
        )
        for item in bom["items"]
        if item["role"] in roles
    ]
    first = "`[printer] model`" if roles == ("printer",) else "part"
    head = row("what", first, "for", "why", "check before ordering", "source", "tried by us")
    return [head, row(*["---"] * 7), *rows]


def tables(bom: dict[str, Any]) -> dict[str, list[str]]:
    return {
        "requirements": requirements(bom),
        "box": parts(bom, ("box", "disk")),
        "printer": parts(bom, ("printer",)),
        "rest": parts(bom, ("paper", "cable", "imager", "power", "case")),
    }


def filled(text: str, bom: dict[str, Any]) -> str:
    """The README with the lines between <!-- NAME --> and <!-- end --> written anew."""
    for name, lines in tables(bom).items():
        before, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not (start and end):
            raise SystemExit(f"hardware/README.md: no place for the table {name}")
        text = before + start + "\n".join(lines) + "\n" + end + after
    return text


def mistakes(bom: dict[str, Any]) -> list[str]:
    found = []
    models = json.loads(PROFILES.read_text("utf-8"))["models"] if PROFILES.exists() else None
    shown = sum(len(lines) - 2 for name, lines in tables(bom).items() if name != "requirements")
    if shown != len(bom["items"]):
        found.append(f"{len(bom['items'])} items, {shown} shown: one has a role that no table shows")
    for item in bom["items"]:
        missing = ITEM_KEYS - item.keys()
        if missing or item["evidence"] not in bom["evidence"]:
            found.append(f"{item.get('name')}: missing {sorted(missing)} or unknown evidence")
        if item["role"] == "printer" and models is not None and item.get("model") not in models:
            found.append(f"{item['name']}: no printer profile {item.get('model')}")
    return found


def main() -> int:
    bom = json.loads((HERE / "bom.json").read_text("utf-8"))
    found = mistakes(bom)
    old = README.read_text("utf-8")
    new = filled(old, bom)
    if "--check" in sys.argv:
        if old != new:
            found.append("README.md and bom.json differ: run python3 hardware/tables.py")
    else:
        README.write_text(new, "utf-8")
    for mistake in found:
        sys.stderr.write(f"hardware: {mistake}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
