"""What a share holds."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.errors import FormatError
from appliance.formats import base64url, manifest, stream
from appliance.formats.manifest import Instance, Manifest, Patient, Piece, Series, Study, Verdict

VECTORS = Path(__file__).parents[1] / "vectors"
PLAIN, JUDGED = (json.loads((VECTORS / f"{name}.json").read_text()) for name in ("manifest", "manifest-judged"))
SHARE_ID, KEY = bytes(range(16)), os.urandom(32)
INSTANCE = Instance("1.2.3", "1.2", "1.2.1", 1, 512, 512, 1, 1000, bytes(16), bytes(32), (Piece(0, 0, 1056),))
SMALL = Manifest(
    SHARE_ID, 3, "arriving", "", 2, "St Mary's", "en", Patient("Rivers^Ada", "1234", "19700131", "F"),
    (Study("1", "20260114", "101500", "CT", "A1", (Series("1.1", 3, "CT", "Thorax", (INSTANCE,)),)),),
)  # fmt: skip

TEXT, COUNT, NUMBER = st.text(max_size=12), st.integers(0, 2**53 - 1), st.integers(-(2**31), 2**31 - 1)
PIECES = st.lists(st.builds(Piece, COUNT, COUNT, COUNT), max_size=3).map(tuple)
INSTANCES = st.builds(
    Instance, TEXT, TEXT, TEXT, NUMBER, COUNT, COUNT, NUMBER, COUNT,
    st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32), PIECES,
)  # fmt: skip
SERIES = st.builds(Series, TEXT, NUMBER, TEXT, TEXT, st.lists(INSTANCES, max_size=2).map(tuple))
STUDIES = st.builds(Study, TEXT, TEXT, TEXT, TEXT, TEXT, st.lists(SERIES, max_size=2).map(tuple), COUNT)
VERDICTS = st.none() | st.builds(Verdict, TEXT, COUNT, COUNT, COUNT)
MANIFESTS = st.builds(
    Manifest, st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1), TEXT, TEXT, COUNT, TEXT, TEXT,
    st.builds(Patient, TEXT, TEXT, TEXT, TEXT), st.lists(STUDIES, max_size=2).map(tuple), VERDICTS,
)  # fmt: skip


def sealed_json(value: object, generation: int = 3) -> bytes:
    return stream.seal(KEY, stream.manifest_aad(SHARE_ID, generation), json.dumps(value).encode())


def unseal(sealed: bytes) -> Manifest:
    return manifest.unseal(sealed, SHARE_ID, 3, KEY)


def json_of(value: Manifest) -> dict:
    aad = stream.manifest_aad(value.share_id, value.generation)
    return json.loads(stream.open_whole(KEY, aad, manifest.seal(value, KEY)))


def from_vector(vector: dict) -> Manifest:
    share_id, key, sealed = (base64url.decode(vector[name]) for name in ("share_id", "data_key", "sealed"))
    return manifest.unseal(sealed, share_id, vector["generation"], key)


def test_the_shared_vector_is_read():
    found, said = from_vector(PLAIN), PLAIN["manifest"]
    (instance,) = found.instances()
    expected = said["studies"][0]["series"][0]["instances"][0]
    assert found.patient == Patient(*said["patient"].values())
    assert (instance.uid, instance.sop_class, instance.syntax) == (
        expected["uid"],
        expected["class"],
        expected["syntax"],
    )
    assert [[p.number, p.offset, p.length] for p in instance.pieces] == expected["pieces"]


def test_a_verdict_is_read_where_there_is_one():
    assert from_vector(JUDGED).verdict == Verdict("query", received=2, expected=3, missing=1)
    assert from_vector(JUDGED).studies[0].added == 1795000000
    assert (from_vector(PLAIN).verdict, from_vector(PLAIN).studies[0].added) == (None, 0)


@pytest.mark.parametrize("vector", [PLAIN, JUDGED], ids=["plain", "judged"])
def test_the_shared_vector_is_what_this_box_writes(vector):
    written = json_of(replace(from_vector(vector), share_id=SHARE_ID))
    assert written == vector["manifest"] | {"share": base64url.encode(SHARE_ID)}


@settings(deadline=None)
@given(MANIFESTS)
def test_a_manifest_comes_back(value):
    assert manifest.unseal(manifest.seal(value, KEY), value.share_id, value.generation, KEY) == value


def test_every_bit_of_a_sealed_manifest_counts():
    sealed = manifest.seal(SMALL, KEY)
    for at in range(len(sealed)):
        for bit in range(8):
            altered = bytearray(sealed)
            altered[at] ^= 1 << bit
            with pytest.raises(FormatError):
                unseal(bytes(altered))


@pytest.mark.parametrize("generation", [-1, 0, 2, 4, 2**32 - 1, 2**32, 2**70])
def test_an_older_or_newer_manifest_does_not_pass_for_this_one(generation):
    with pytest.raises(FormatError):
        manifest.unseal(manifest.seal(SMALL, KEY), SHARE_ID, generation, KEY)


def test_a_manifest_of_another_share_under_the_same_key_is_refused():
    with pytest.raises(FormatError):
        manifest.unseal(manifest.seal(SMALL, KEY), bytes(16), 3, KEY)


def test_another_data_key_opens_nothing():
    with pytest.raises(FormatError):
        manifest.unseal(manifest.seal(SMALL, KEY), SHARE_ID, 3, bytes(32))


@pytest.mark.parametrize("size", [0, 39, 40, 55, 56, 500])
def test_a_manifest_cut_short_is_refused(size):
    with pytest.raises(FormatError):
        unseal(manifest.seal(SMALL, KEY)[:size])


def test_members_that_a_newer_box_added_are_ignored():
    value = json_of(SMALL)
    for place in (value, value["patient"], value["studies"][0], value["studies"][0]["series"][0]):
        place["unheard_of"] = {"x": [1]}
    assert unseal(sealed_json(value)) == SMALL


@pytest.mark.parametrize("member", ["format", "share", "generation", "state", "received", "patient", "studies"])
def test_a_manifest_that_lacks_something_is_refused(member):
    value = json_of(SMALL)
    del value[member]
    with pytest.raises(FormatError):
        unseal(sealed_json(value))


@pytest.mark.parametrize("wrong", [None, 3, {}, {"source": "query"}, JUDGED["manifest"]["verdict"] | {"missing": -1}])
def test_a_verdict_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(FormatError):
        unseal(sealed_json(json_of(SMALL) | {"verdict": wrong}))


def test_a_manifest_of_another_version_is_refused():
    with pytest.raises(FormatError, match="version"):
        unseal(sealed_json(json_of(SMALL) | {"format": "slipway-manifest/2"}))


@pytest.mark.parametrize("change", [{"share": base64url.encode(bytes(16))}, {"generation": 2}])
def test_a_manifest_that_says_to_be_another_than_it_was_sealed_as_is_refused(change):
    with pytest.raises(FormatError):
        unseal(sealed_json(json_of(SMALL) | change))


@pytest.mark.parametrize("value", [None, [], "x", 3, {}, {"format": "slipway-manifest/1", "studies": 3}])
def test_what_is_no_manifest_is_refused(value):
    with pytest.raises(FormatError):
        unseal(sealed_json(value))


@pytest.mark.parametrize("plain", [b"", b"\xff", b"{", b"[" * 100_000])
def test_what_is_no_json_is_refused(plain):
    with pytest.raises(FormatError):
        unseal(stream.seal(KEY, stream.manifest_aad(SHARE_ID, 3), plain))


@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        *((name, wrong) for name in ("uid", "class", "syntax") for wrong in (None, 3, ["x"])),
        *((name, wrong) for name in ("rows", "columns", "size") for wrong in (None, "3", -1, 1.5, True)),
        ("number", "3"),
        ("frames", None),
        ("pieces", [[0, -1, 5]]),
        ("pieces", [[0, 0, "5"]]),
        ("pieces", [[0, 0, 5, 0]]),
        ("stream", "AAAA"),
        ("key", "AAAA"),
        ("key", None),
        ("pieces", [[0, 0]]),
        ("pieces", 3),
        ("stream", "=" * 22),
    ],
)
def test_an_instance_that_cannot_be_opened_is_refused(where, wrong):
    value = json_of(SMALL)
    value["studies"][0]["series"][0]["instances"][0][where] = wrong
    with pytest.raises(FormatError):
        unseal(sealed_json(value))


def test_names_in_any_script_stay_readable():
    assert json_of(replace(SMALL, patient=Patient("山田^太郎")))["patient"]["name"] == "山田^太郎"


def test_a_manifest_says_nothing_of_the_patient_when_it_is_printed():
    for value in (SMALL, SMALL.patient, SMALL.studies[0], INSTANCE):
        assert "Rivers" not in repr(value)
        assert "1.2.3" not in repr(value)
