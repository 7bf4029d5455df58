"""Writes tests/vectors/*.json from the Python formats; run once when a format gains a case.

Fixed inputs, so the files only change when a format does. TypeScript and Python tests read the same files.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from appliance.formats import base64url, envelope, link, stream

HERE = Path(__file__).parent


def fixed(label: str, size: int) -> bytes:
    """Bytes that look random and are the same everywhere."""
    return hashlib.shake_256(label.encode()).digest(size)


def stream_cases() -> list[dict[str, Any]]:
    first, other = stream.FIRST_PLAIN_BYTES, stream.PLAIN_BYTES
    cases = []
    for size in (0, 1, 1000, first - 1, first, first + 1, first + other, first + other + 1):
        key, aad = fixed(f"key {size}", 32), stream.instance_aad(fixed(f"stream {size}", 16))
        header = bytes([stream.HEADER_BYTES]) + fixed(f"header {size}", 39)
        sealed = stream.seal(key, aad, fixed("plain", size), header)
        cases.append(
            {
                "size": size,
                "plain": "shake_256('plain')[:size]",
                "plain_sha256": hashlib.sha256(fixed("plain", size)).hexdigest(),
                "key": base64url.encode(key),
                "aad": base64url.encode(aad),
                "header": base64url.encode(header),
                "sealed_size": len(sealed),
                "sealed_sha256": hashlib.sha256(sealed).hexdigest(),
                "sealed": base64url.encode(sealed) if size <= 1000 else None,
            }
        )
    return cases


def link_cases() -> dict[str, Any]:
    good = link.Link("https://vault.example.org", fixed("link id", 16), fixed("secret", 32))
    token = good.token
    wrong = chr(ord(token[10]) + 1) if token[10] not in "zZ9_-" else "a"
    return {
        "good": [
            {"url": url, "link_id": base64url.encode(good.link_id), "secret": base64url.encode(good.secret)}
            for url in (good.url, good.url + "&appinstall=0", "  " + good.url + "\n", good.url + "extra")
        ],
        "bad": [
            good.url[:-1],
            "https://vault.example.org/",
            "https://vault.example.org/#",
            good.url.replace(token, token[:10] + wrong + token[11:]),
            good.url.replace(token, token[:20] + "=" + token[21:]),
            good.url.replace(token, token[:20] + "%" + token[21:]),
            good.url.replace(token, token[:-1] + chr(ord(token[-1]) + 1)),
        ],
    }


def envelope_cases() -> list[dict[str, Any]]:
    cases = []
    for kind, value in (("birth-date", "19700131"), ("pin", "123456"), ("none", "")):
        factor = envelope.factor_bytes(envelope.FactorKind(kind), value)
        link_id, secret = fixed(f"id {kind}", 16), fixed(f"F {kind}", 32)
        keys = envelope.LinkKeys(link_id, secret, fixed(f"S {kind}", 32), factor)
        share_id, data_key, nonce = fixed(f"share {kind}", 16), fixed(f"data {kind}", 32), fixed(f"nonce {kind}", 12)
        case = {
            "link_id": link_id,
            "secret": secret,
            "share_key": keys.share_key,
            "proof": envelope.proof(secret, link_id, factor),
            "verifier": envelope.verifier(secret, link_id, factor),
            "share_id": share_id,
            "data_key": data_key,
            "envelope": keys.wrap(share_id, data_key, nonce),
        }
        cases.append({"kind": kind, "value": value} | {name: base64url.encode(v) for name, v in case.items()})
    return cases


def manifest_case() -> dict[str, Any]:
    share_id, data_key, generation = fixed("manifest share", 16), fixed("manifest key", 32), 3
    instance = {
        "uid": "1.2.3.4.5", "class": "1.2.840.10008.5.1.4.1.1.2", "syntax": "1.2.840.10008.1.2.1", "number": 1,
        "rows": 512, "columns": 512, "frames": 1, "size": 1000, "stream": base64url.encode(fixed("m stream", 16)),
        "key": base64url.encode(fixed("m key", 32)), "pieces": [[0, 0, 1056]],
    }  # fmt: skip
    manifest = {
        "format": "slipway-manifest/1", "share": base64url.encode(share_id), "generation": generation,
        "state": "arriving", "source": "", "received": 2, "site": "St Mary's Radiology", "language": "en",
        "patient": {"name": "Rivers^Ada", "id": "1234", "birth_date": "19700131", "sex": "F"},
        "studies": [{"uid": "1.2.3", "date": "20260114", "time": "101500", "description": "CT Chest", "accession": "A1",
                     "series": [{"uid": "1.2.3.4", "number": 3, "modality": "CT", "description": "Thorax 1.0",
                                 "instances": [instance]}]}],
    }  # fmt: skip
    header = bytes([stream.HEADER_BYTES]) + fixed("manifest header", 39)
    plain = json.dumps(manifest, separators=(",", ":")).encode()
    sealed = stream.seal(data_key, stream.manifest_aad(share_id, generation), plain, header)
    return {
        "share_id": base64url.encode(share_id), "data_key": base64url.encode(data_key), "generation": generation,
        "sealed": base64url.encode(sealed), "manifest": manifest,
    }  # fmt: skip


def main() -> None:
    for name, cases in {
        "stream": stream_cases(), "link": link_cases(), "envelope": envelope_cases(), "manifest": manifest_case(),
    }.items():  # fmt: skip
        (HERE / f"{name}.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
