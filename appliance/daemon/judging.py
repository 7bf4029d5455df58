"""What is known of how many images a study has: claims in the journal, and the verdicts that follow from them.

The ladder of sources is core/completeness.py's. Who claims what arrives by `serving`, `requesting` and `checking`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from appliance.core.completeness import Source, Verdict
from appliance.ports import Row


def encode_verdict(verdict: Verdict) -> str:
    """For the column study.verdict."""
    return json.dumps(asdict(verdict), separators=(",", ":"))


def verdicts(studies: Iterable[Row]) -> list[Verdict]:
    """Those that stand, of studies as the journal has them."""
    values = [json.loads(study["verdict"]) for study in studies if study["verdict"]]
    return [Verdict(**(value | {"source": Source(value["source"])})) for value in values]
