"""A real kernel's USB stack, its usblp and a printer gadget: our worker through faults, in QEMU (3 to 5 minutes).

Every case ends with a fit printer plugged in, which must give one slip, whole.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.ports.test_printer_port import job
from tests.usb_guest import machine
from tests.usb_guest.guest import cases

WITHIN_S = 600
SLIP = job().data
NAMES = list(cases(SLIP))
SILENT = {"no word after the slip", "the word for another slip", "paper runs out in the slip"}
UNKNOWN = {name for name in NAMES if " at " in name or "worker" in name} | SILENT
REFUSED = {"held by another program", "unplugged before", "paper out", "cover open", "cutter jammed", "answers nothing"}
PRINTED = {"as in the field", "status that comes unasked"}

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(WITHIN_S + 300),
    pytest.mark.skipif(bool(machine.missing()), reason=f"needs {', '.join(machine.missing())}"),
]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("guest")
    (folder / "slip").write_bytes(SLIP)
    started = time.monotonic()
    said, console = machine.run(folder, "tests.usb_guest.guest", str(folder / "slip"), within_s=WITHIN_S)
    print(f"the guest took {time.monotonic() - started:.0f} s")
    *lines, last = said.splitlines() or [""]
    assert last == "END", console[-1500:]
    return dict(json.loads(line) for line in lines)


def test_every_case_has_an_expectation_and_there_are_enough_of_them():
    assert set(NAMES) == UNKNOWN | REFUSED | PRINTED
    assert len(UNKNOWN | REFUSED) >= 20


@pytest.mark.parametrize("name", NAMES)
def test_outcome_is_never_better_than_what_is_known(seen: dict[str, Any], name: str):
    found = seen[name]
    expected = "unknown" if name in UNKNOWN else "refused" if name in REFUSED else "printed"
    assert found.get("outcome") == expected, found


@pytest.mark.parametrize("name", NAMES)
def test_afterwards_a_fit_printer_gives_one_slip_to_the_byte(seen: dict[str, Any], name: str):
    found = seen[name]
    assert (found["then"], found["slips"], found["same"]) == ("printed", 1, [True]), found


def test_usblp_has_the_printer_before_and_gets_it_back_and_the_list_names_it(seen: dict[str, Any]):
    found = seen["as in the field"]
    assert found["usblp before"]
    assert found["usblp after"]
    assert found["listed"] == ["usb:04b8:0e15:SN1 EPSON TM-T20II"]


def test_a_printer_that_another_program_holds_says_so_and_prints_once_it_is_free(seen: dict[str, Any]):
    found = seen["held by another program"]
    assert "Resource busy" in found["said"]
    assert found["once free"] == "printed"


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("unplugged at")])
def test_while_it_is_unplugged_a_slip_is_refused(seen: dict[str, Any], name: str):
    assert seen[name]["while unplugged"] == "refused"
