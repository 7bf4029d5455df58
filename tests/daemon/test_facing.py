"""What a slip says of a share: the patient's language through to reprints, the staff half, what older rows lack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydicom.dataset import Dataset

from appliance.core.completeness import Source, Verdict
from appliance.core.identity import Identity
from appliance.daemon.facing import ProfileLook, SlipLook, face, pin_face
from appliance.daemon.judging import encode_verdict
from appliance.daemon.minting import FirstImage, Remarks, ShareSecrets, open_share, seal_remarks, seal_share
from appliance.formats import base64url
from appliance.formats.sealed import Sealer
from appliance.formats.slip_pin import PinFace
from appliance.formats.slip_text import SlipFace
from appliance.ports import Row
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import KEY, House, Image, encode
from tests.fakes.slip_printers import PaperOutPrinter

SEALER = Sealer(KEY)
LOOK = SlipLook("St Mary's", "+44 1632 960961", "https://v.example.org", 80, language="de")
UNSAID = FirstImage()
ADA = Identity("1234", "", "Rivers^Ada=山田^花子", "19700131", "F")


def profiled(**changes: Any) -> SlipLook:
    return replace(LOOK, profiles={"SHARE": ProfileLook(**changes)})


def said(
    look: SlipLook = LOOK,
    first: FirstImage = UNSAID,
    *,
    pin: str = "",
    remarks: Remarks | None = None,
    studies: Sequence[Row] = (),
) -> SlipFace:
    share_id, link_id = bytes(16), bytes(range(16))
    share: dict[str, Any] = {"share_id": share_id, "profile": "SHARE"}
    share["remarks"] = seal_remarks(share_id, remarks, SEALER) if remarks else None
    share["sealed"] = seal_share(share_id, ShareSecrets(ADA, bytes(32), first), SEALER)
    parts = [base64url.encode(bytes(32))] * 4
    link: dict[str, Any] = {"link_id": link_id, "public_url": "", "expires_at": 1_800_000_000.0}
    link |= {"factor": "pin" if pin else "birth-date", "sealed": SEALER.seal_json(b"link" + link_id, parts)}
    link["pin"] = SEALER.seal(b"pin" + link_id, pin.encode()) if pin else None
    return face(look, {"number": "S-00042", "copy": 2}, link, share, SEALER, studies)


@pytest.mark.parametrize(
    ("patient", "profile", "language"),
    [("uk", "fr", "uk"), ("nl", "fr", "fr"), ("", "fr", "fr"), ("", "", "de"), ("nl", "", "de"), ("ara", "", "ara")],
)
def test_the_patients_language_comes_before_the_profiles_and_that_before_the_sites(patient, profile, language):
    assert said(profiled(language=profile), FirstImage(patient)).language == language


@pytest.mark.parametrize("look", [LOOK, profiled(staff_half=True)])
def test_no_pin_stands_anywhere_on_the_patients_slip(look):
    face_ = said(look, pin="402771")
    assert "402771" not in repr(vars(face_)) + repr(vars(face_.staff) if face_.staff else "")


def test_the_staff_half_is_in_the_sites_language_with_the_study():
    staff = said(profiled(staff_half=True, language="uk"), FirstImage("ja", "20270112", "CT")).staff
    assert staff is not None
    assert (staff.language, staff.study) == ("de", "12.01.2027 · CT")


def test_the_paper_with_the_pin_is_in_the_sites_language():
    share_id, link_id = bytes(16), bytes(range(16))
    share = {"share_id": share_id, "sealed": seal_share(share_id, ShareSecrets(ADA, bytes(32)), SEALER)}
    link = {"link_id": link_id, "pin": SEALER.seal(b"pin" + link_id, b"402771")}
    told = pin_face(profiled(language="uk"), {"number": "S-00042"}, link, share, SEALER)
    assert told == PinFace("de", "S-00042", ADA.initials, "1970", "402771")


def test_what_a_request_wants_on_the_slip_is_on_it():
    face_ = said(remarks=Remarks("CT chest", "ACC1", "Dr Hill"))
    assert (face_.note, face_.barcode, face_.hand_to) == ("CT chest", "ACC1", "Dr Hill")
    assert (said().note, said().barcode, said().hand_to) == ("", "", "")


def study(verdict: Verdict | None) -> Row:
    return {"verdict": encode_verdict(verdict) if verdict else ""}


def test_the_verdict_of_all_studies_is_on_the_slip_as_one():
    checked, silent = Verdict(Source.QUERY, 500, 500), Verdict(Source.QUIET, 30, quiet_s=30.0)
    assert said(studies=[study(checked)]).verdict == checked
    assert said(studies=[study(checked), study(checked)]).verdict == Verdict(Source.QUERY, 1000, 1000)
    together = said(studies=[study(checked), study(silent)]).verdict
    assert together is not None
    assert together.source is Source.QUIET


def test_while_one_study_still_arrives_the_slip_says_nothing_of_how_many():
    assert said(studies=[study(Verdict(Source.QUERY, 500, 500)), study(None)]).verdict is None
    assert said(studies=[]).verdict is None


@pytest.mark.parametrize(
    ("date", "modality", "shown"), [("", "CT", "CT"), ("20270231", "", ""), ("2027", "MR", "MR"), ("", "", "")]
)
def test_a_study_date_that_cannot_be_is_left_out(date, modality, shown):
    staff = said(profiled(staff_half=True), FirstImage("", date, modality)).staff
    assert staff is not None
    assert staff.study == shown


def test_large_print_is_the_profiles():
    assert said(profiled(large_print=True)).large_print
    assert not said().large_print


def test_a_share_that_an_older_version_sealed_has_no_language_and_still_opens():
    share_id = bytes(16)
    old = {"identity": ["1234", "", "Rivers^Ada", "19700131", "F"], "data_key": base64url.encode(bytes(32))}
    row = {"share_id": share_id, "sealed": SEALER.seal_json(b"share" + share_id, old)}
    assert open_share(row, SEALER).first == FirstImage()


@dataclass(frozen=True)
class SpokenImage(Image):
    language: str = "uk"

    @property
    def dataset(self) -> bytes:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = self.language, "RFC5646", "Ukrainian"
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", self.uid
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = self.study_uid, f"{self.study_uid}.{self.series}"
        dataset.StudyDate, dataset.Modality = "20270112", "CT"
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Рекина^Ада", "4711", self.birth_date
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.PatientPrimaryLanguageCodeSequence = [code]
        return encode(dataset)


async def first_of(box: House) -> FirstImage:
    (share,) = await box.shares()
    return open_share(share, SEALER).first


async def test_the_language_of_the_first_image_is_sealed_with_the_share_and_stays(make_house: MakeHouse) -> None:
    async with make_house(printer=PaperOutPrinter()) as box:
        box.start()
        await box.send(SpokenImage())
        await box.settled_relay()
        assert await first_of(box) == FirstImage("uk", "20270112", "CT")
        await box.send(SpokenImage(number=2, language="pl"))
        await box.settled_relay()
        assert await first_of(box) == FirstImage("uk", "20270112", "CT")
