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

    def instances(self) -> Iterable[Instance]:
        for study in self.studies:
            for series in study.series:
                yield from series.instances


def seal(manifest: Manifest, data_key: bytes) -> bytes:
    plain = json.dumps(_to_json(manifest), separators=(",", ":"), ensure_ascii=False).encode()
    return stream.seal(data_key, stream.manifest_aad(manifest.share_id, manifest.generation), plain)


def unseal(sealed: bytes, share_id: bytes, generation: int, data_key: bytes) -> Manifest:
    """FormatError when it is another share's or generation's, or was altered."""
    plain = stream.open_whole(data_key, stream.manifest_aad(share_id, generation), sealed)
    try:
        value = json.loads(plain)
        if value["format"] != FORMAT:
            raise FormatError("the share's manifest is of another version")
        return _from_json(value)
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError("the share's manifest cannot be read") from error


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
    }


def _study_to_json(study: Study) -> dict[str, Any]:
    return {
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
        generation=value["generation"],
        state=value["state"],
        source=value["source"],
        received=value["received"],
        site=value["site"],
        language=value["language"],
        patient=Patient(patient["name"], patient["id"], patient["birth_date"], patient["sex"]),
        studies=tuple(_study_from_json(study) for study in value["studies"]),
    )


def _study_from_json(value: dict[str, Any]) -> Study:
    series = tuple(
        Series(s["uid"], s["number"], s["modality"], s["description"], tuple(map(_instance_from_json, s["instances"])))
        for s in value["series"]
    )
    return Study(value["uid"], value["date"], value["time"], value["description"], value["accession"], series)


def _instance_from_json(value: dict[str, Any]) -> Instance:
    return Instance(
        uid=value["uid"],
        sop_class=value["class"],
        syntax=value["syntax"],
        number=value["number"],
        rows=value["rows"],
        columns=value["columns"],
        frames=value["frames"],
        size=value["size"],
        stream_id=base64url.decode(value["stream"], 16),
        key=base64url.decode(value["key"], 32),
        pieces=tuple(Piece(*piece) for piece in value["pieces"]),
    )
