"""Whom the machine's images show: two patients and what goes wrong with their data. Few, so that they meet often."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from tests.daemon.house import NAME, PATIENT_ID, Image


class Twist(StrEnum):
    """What is odd about an image."""

    NONE = "nothing"
    OTHER_PIXELS = "other pixels under the same UID"
    OTHER_BIRTH_DATE = "another birth date"
    NO_BIRTH_DATE = "no birth date"
    OTHER_NAME = "another name"
    NO_ID = "no Patient ID"
    OTHERS_STUDY = "the other patient's study"


CHANGES: dict[Twist, dict[str, object]] = {
    Twist.OTHER_PIXELS: {"pixels": b"\x03\x04" * 50},
    Twist.OTHER_BIRTH_DATE: {"birth_date": "19710131"},
    Twist.NO_BIRTH_DATE: {"birth_date": ""},
    Twist.OTHER_NAME: {"name": NAME.replace("ADAL", "EDEL")},
    Twist.NO_ID: {"patient_id": " "},
}
BIRTH_DATES = ("19700131", "19710131")
STRUCTURED_REPORT = "1.2.840.10008.5.1.4.1.1.88.11"


@dataclass(frozen=True)
class Picture(Image):
    study_of: str = ""

    @property
    def study_uid(self) -> str:
        return f"1.2.826.4711.{ord(self.study_of or self.patient)}.{self.study}"

    @property
    def is_report(self) -> bool:
        return self.sop_class == STRUCTURED_REPORT

    @property
    def wristband(self) -> str:
        """What their patient's shows; "" where they bear no Patient ID."""
        return (self.patient_id or f"{PATIENT_ID}-{self.patient}").strip()

    @property
    def data(self) -> bytes:
        return _encoded(self)

    @property
    def person(self) -> tuple[str, str, str]:
        """As whoever made it means it. Without an ID, nobody's."""
        return self.wristband, self.name + self.patient, self.birth_date

    def __repr__(self) -> str:
        return f"{self.patient}{self.study}.{self.number}"


@cache
def _encoded(picture: Picture) -> bytes:
    return picture.dataset


def report(patient: str, study: str, profile: str, sender: str) -> Picture:
    """Of a study: what some profiles wait for."""
    return Picture(patient=patient, study=study, series=9, profile=profile, sender=sender, sop_class=STRUCTURED_REPORT)


def picture(patient: str, study: str, number: int, twist: Twist, profile: str, sender: str) -> Picture:
    changes = dict(CHANGES.get(twist, {}))
    if twist is Twist.OTHERS_STUDY:
        changes["study_of"] = "B" if patient == "A" else "A"
    return Picture(patient=patient, study=study, number=number, profile=profile, sender=sender, **changes)  # type: ignore[arg-type]
