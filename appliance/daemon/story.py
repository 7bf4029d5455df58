"""What staff are told of a share: how it stands, what happened to it, and what can be done next.

Nothing of the patient but initials and birth year. Reads only; whoever does something notes it in the journal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliance.daemon import notes
from appliance.daemon.judging import verdict_on
from appliance.daemon.standing import SHORT_ID_CHARS, Facts, shown, standing
from appliance.daemon.telling import Telling, folded
from appliance.formats.moments import written
from appliance.formats.sealed import Sealer
from appliance.ports import Row, Transaction


class Story:
    def __init__(self, sealer: Sealer, clock: Callable[[], float]) -> None:
        self._sealer = sealer
        self._clock = clock

    def __call__(self, tx: Transaction, row: Row) -> dict[str, Any]:
        """The whole story, of a share's row."""
        facts = Facts.of(tx, row, self._clock())
        share = self.head({**row, "instances": facts.received, "relayed": facts.relayed})
        share["studies"] = [{"state": study["state"], "source": study["source"]} for study in facts.studies]
        share["verdict"] = _verdict(facts.studies)
        share["links"] = [self._link(link) for link in facts.links]
        share["slips"] = [
            {"number": slip["number"], "state": slip["state"], "copy": slip["copy"]} for slip in facts.slips
        ]
        share["events"] = [
            {"at": written(note["at"]), "what": notes.dated(note["what"]), "by": note["by"]} for note in facts.notes
        ]
        beats = folded(Telling(facts).beats())
        share["story"] = [{"at": written(beat.at), "what": beat.sentence} for beat in beats]
        share["now"] = standing(facts)
        return share

    def head(self, row: Row) -> dict[str, Any]:
        """What lists show of a share."""
        return {
            "id": row["share_id"].hex()[:SHORT_ID_CHARS],
            "state": row["state"],
            "patient": self.patient(row),
            "profile": row["profile"],
            "held_because": shown(row["held_because"]) if row["state"] == "held" else "",
            "opened_at": written(row["opened_at"]),
            "images": row.get("instances"),
            "at_vault": 0 if row["state"] == "revoked" else row.get("relayed"),  # counted as settled, not as there
        }

    def patient(self, row: Row) -> str:
        """Initials and year of birth: enough to hand a slip to the right person, and all that lists ever show."""
        display = self._sealer.open_json(b"display" + row["share_id"], row["display"])
        return f"{display['initials']} {display['birth_year']}".strip()

    def _link(self, row: Row) -> dict[str, Any]:
        pin = self._sealer.open(b"pin" + row["link_id"], row["pin"]).decode() if row["pin"] else ""
        return {
            "state": row["state"],
            "factor": row["factor"],
            "expires_at": written(row["expires_at"]) if row["expires_at"] else "",
            "pin": pin,
        }


def _verdict(studies: list[Row]) -> dict[str, Any] | None:
    """Whether all of it is here, of all its studies together; None while nobody can say."""
    verdict = verdict_on(studies)
    if verdict is None:
        return None
    return {
        "complete": verdict.complete,
        "source": str(verdict.source),
        "received": verdict.received,
        "expected": verdict.expected,
        "missing": verdict.missing,
    }
