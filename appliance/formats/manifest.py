"""The manifest: what a share holds (docs/envelope.md, "Manifest"). Values to sealed bytes and back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from appliance.errors import FormatError
from appliance.formats import base64url, stream

FORMAT = "slipway-manifest/1"


@dataclass(frozen=True)
class Piece:
    """`length` bytes at `offset` of object `number`."""

    number: int
    offset: int
    length: int


@dataclass(frozen=True, repr=False)
class Instance:
    uid: str
    sop_class: str
    syntax: str
    number: int
    rows: int
    columns: int
    frames: int
    size: int
    stream_id: bytes
    key: bytes
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, repr=False)
class Series:
    uid: str
    number: int
    modality: str
    description: str
    instances: tuple[Instance, ...]


@dataclass(frozen=True, repr=False)
class Study:
    uid: str
    date: str
    time: str
    description: str
    accession: str
    series: tuple[Series, ...]
    added: int = 0  # Unix seconds, by the box's clock: when its newest image came; 0: not said


@dataclass(frozen=True)
class Verdict:
    """Whether all is here, and who says so: core/completeness.py's, as a newer box may have more sources."""

    source: str
    received: int
    expected: int  # 0: nobody has said
    missing: int


@dataclass(frozen=True, repr=False)
class Patient:
    name: str = ""
    id: str = ""
    birth_date: str = ""
    sex: str = ""


@dataclass(frozen=True, repr=False)
class Manifest:
    share_id: bytes
    generation: int
    state: str  # arriving, complete or quiet
    source: str
    received: int
    site: str
    language: str
    patient: Patient
    studies: tuple[Study, ...] = field(default=())
    verdict: Verdict | None = None  # none: more may be coming, or the box is older than verdicts are

    def instances(self) -> Iterable[Instance]:
        for study in self.studies:
            for series in study.series:
                yield from series.instances


def seal(manifest: Manifest, data_key: bytes) -> bytes:
    plain = json.dumps(_to_json(manifest), separators=(",", ":"), ensure_ascii=False).encode()
    return stream.seal(data_key, stream.manifest_aad(manifest.share_id, manifest.generation), plain)


def unseal(sealed: bytes, share_id: bytes, generation: int, data_key: bytes) -> Manifest:
    """FormatError when it is another share's or generation's, or was altered.

    Not to be trusted although it opens: whoever made the slip has the key, and a hospital reads anybody's slips.
    """
    if not 0 <= generation < 1 << 32:
        raise FormatError("the share's manifest is of an impossible generation")
    plain = stream.open_whole(data_key, stream.manifest_aad(share_id, generation), sealed)
    try:
        value = json.loads(plain)
        if value["format"] != FORMAT:
            raise FormatError("the share's manifest is of another version")
        manifest = _from_json(value)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError("the share's manifest cannot be read") from error
    if (manifest.share_id, manifest.generation) != (share_id, generation):
        raise FormatError("the share's manifest says that it is another's")
    return manifest


def _to_json(manifest: Manifest) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "share": base64url.encode(manifest.share_id),
        "generation": manifest.generation,
        "state": manifest.state,
        "source": manifest.source,
        "received": manifest.received,
        "site": manifest.site,
        "language": manifest.language,
        "patient": asdict(manifest.patient),
        "studies": [_study_to_json(study) for study in manifest.studies],
    } | ({"verdict": asdict(manifest.verdict)} if manifest.verdict else {})


def _study_to_json(study: Study) -> dict[str, Any]:
    added = {"added": study.added} if study.added else {}
    return added | {
        "uid": study.uid,
        "date": study.date,
        "time": study.time,
        "description": study.description,
        "accession": study.accession,
        "series": [
            {
                "uid": series.uid,
                "number": series.number,
                "modality": series.modality,
                "description": series.description,
                "instances": [_instance_to_json(instance) for instance in series.instances],
            }
            for series in study.series
        ],
    }


def _instance_to_json(instance: Instance) -> dict[str, Any]:
    return {
        "uid": instance.uid,
        "class": instance.sop_class,
        "syntax": instance.syntax,
        "number": instance.number,
        "rows": instance.rows,
        "columns": instance.columns,
        "frames": instance.frames,
        "size": instance.size,
        "stream": base64url.encode(instance.stream_id),
        "key": base64url.encode(instance.key),
        "pieces": [[piece.number, piece.offset, piece.length] for piece in instance.pieces],
    }


def _from_json(value: dict[str, Any]) -> Manifest:
    patient = value["patient"]
    return Manifest(
        share_id=base64url.decode(value["share"], 16),
        generation=_whole(value["generation"]),
        state=_text(value["state"]),
        source=_text(value["source"]),
        received=_whole(value["received"]),
        site=_text(value["site"]),
        language=_text(value["language"]),
        patient=Patient(*(_text(patient[name]) for name in ("name", "id", "birth_date", "sex"))),
        studies=tuple(map(_study_from_json, value["studies"])),
        verdict=_verdict_from_json(value["verdict"]) if "verdict" in value else None,
    )


def _verdict_from_json(value: dict[str, Any]) -> Verdict:
    return Verdict(_text(value["source"]), *(_whole(value[name]) for name in ("received", "expected", "missing")))


def _study_from_json(value: dict[str, Any]) -> Study:
    return Study(
        uid=_text(value["uid"]),
        date=_text(value["date"]),
        time=_text(value["time"]),
        description=_text(value["description"]),
        accession=_text(value["accession"]),
        series=tuple(map(_series_from_json, value["series"])),
        added=_whole(value.get("added", 0)),
    )


def _series_from_json(value: dict[str, Any]) -> Series:
    return Series(
        uid=_text(value["uid"]),
        number=_integer(value["number"]),
        modality=_text(value["modality"]),
        description=_text(value["description"]),
        instances=tuple(map(_instance_from_json, value["instances"])),
    )


def _instance_from_json(value: dict[str, Any]) -> Instance:
    return Instance(
        uid=_text(value["uid"]),
        sop_class=_text(value["class"]),
        syntax=_text(value["syntax"]),
        number=_integer(value["number"]),
        rows=_whole(value["rows"]),
        columns=_whole(value["columns"]),
        frames=_integer(value["frames"]),
        size=_whole(value["size"]),
        stream_id=base64url.decode(value["stream"], 16),
        key=base64url.decode(value["key"], 32),
        pieces=tuple(Piece(*map(_whole, piece)) for piece in value["pieces"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _whole(value: object) -> int:
    if _integer(value) < 0:
        raise ValueError
    return _integer(value)
