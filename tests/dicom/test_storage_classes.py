"""What counts as storage, against a list of the standard's UIDs from another hand."""

from __future__ import annotations

import re
import subprocess
import sys

from pydicom._uid_dict import UID_dictionary

from appliance.dicom.negotiation import is_storage

NAME = re.compile(r"Storage( SOP Class)?( - (For Presentation|For Processing|Trial))?\Z")


def test_what_the_standard_calls_storage_is_taken_and_nothing_else_that_it_names() -> None:
    named = {uid: name for uid, (name, *_) in UID_dictionary.items() if name}
    assert {uid for uid in named if is_storage(uid)} == {uid for uid in named if NAME.search(named[uid])}


def test_classes_that_the_standard_may_add_under_its_storage_roots_are_taken() -> None:
    assert is_storage("1.2.840.10008.5.1.4.1.1.999.1")
    assert is_storage("1.2.840.10008.5.1.4.34.99")
    assert not is_storage("1.2.840.10008.5.1.4.99.1")


def test_the_box_runs_without_the_libraries_that_would_take_a_third_of_its_memory() -> None:
    code = "import appliance.cli.app, appliance.daemon.run, sys; print({'pydicom', 'numpy'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
