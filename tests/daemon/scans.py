"""Images of invented patients as modalities send them: rightly, wrongly, and with what rules look at."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from appliance.core.release_rules import ReleaseRules
from appliance.daemon.minting import open_share
from appliance.daemon.placing import ProfileRules
from appliance.formats import manifest, stream
from appliance.formats.manifest import Manifest
from appliance.formats.sealed import Sealer
from appliance.ports import Row
from tests.daemon.house import KEY, VISIT_S, House, Image
from tests.fakes.vault import StoredShare
from tests.synthetic import encode

REPORT = "1.2.840.10008.5.1.4.1.1.88.11"
DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.88.67"


@dataclass(frozen=True)
class Scan(Image):
    """Its name is as given, where `patient` does not say more than which UIDs it has."""

    sex: str = "F"
    issuer: str = ""
    of_study: str = ""  # a Study Instance UID
    character_set: str = ""
    body_part: str = ""
    procedure: str = ""  # a Code Value
    requested: str = ""
    ordered: str = ""  # as images say what was requested: within the Request Attributes Sequence

    @property
    def study_uid(self) -> str:
        return self.of_study or super().study_uid

    @property
    def dataset(self) -> bytes:
        plain = {field.name: getattr(self, field.name) for field in fields(Image)} | {"name": ""}
        dataset = pydicom.dcmread(io.BytesIO(Image(**plain).dataset), force=True)
        dataset.StudyInstanceUID = self.study_uid
        if self.character_set:
            dataset.SpecificCharacterSet = self.character_set.split("\\")
        dataset.PatientName, dataset.PatientSex, dataset.IssuerOfPatientID = self.name, self.sex, self.issuer
        if self.patient_id == "none":
            del dataset.PatientID
        dataset.BodyPartExamined = self.body_part
        for keyword, code in (
            ("ProcedureCodeSequence", self.procedure),
            ("RequestedProcedureCodeSequence", self.requested),
        ):
            if code:
                setattr(dataset, keyword, [_code(code)])
        if self.ordered:
            dataset.RequestAttributesSequence = [Dataset()]
            dataset.RequestAttributesSequence[0].RequestedProcedureCodeSequence = [_code(self.ordered)]
        return encode(dataset)


def _code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99TEST", "Invented"
    return item


def rules(**changes: Any) -> dict[str, ProfileRules]:
    """Of the profile SHARE."""
    without_id = changes.pop("without_id", False)
    return {"SHARE": ProfileRules(VISIT_S, without_id, ReleaseRules(**changes))}


async def placed(box: House) -> list[Row]:
    """The shares once all that came is in one."""
    await box.until(lambda: not box.receiving.behind)
    return await box.shares()


async def doubts(box: House) -> list[tuple[str, str]]:
    """State and doubt of each share, oldest first."""
    return [(row["state"], row["doubt"]) for row in await placed(box)]


async def id_of(box: House, which: int) -> str:
    share: bytes = (await placed(box))[which]["share_id"]
    return share.hex()[:8]


def at_vault(box: House, row: Row) -> Manifest:
    """What a slip of this share would show."""
    generation, sealed = box.vault.shares[row["share_id"]].manifest
    return manifest.unseal(sealed, row["share_id"], generation, open_share(row, Sealer(KEY)).data_key)


def opened_datasets(share: StoredShare, shown: Manifest) -> dict[str, bytes]:
    """Every instance of a manifest, decrypted from what the vault has."""
    found = {}
    for one in shown.instances():
        pieces = (share.objects[piece.number][piece.offset : piece.offset + piece.length] for piece in one.pieces)
        found[one.uid] = stream.open_whole(one.key, stream.instance_aad(one.stream_id), b"".join(pieces))
    return found


def uids(several: Iterable[Image]) -> set[str]:
    return {image.uid for image in several}
