"""Writes tests/vectors/*.json from the Python formats; run once when a format gains a case.

Fixed inputs, so the files only change when a format does. TypeScript and Python tests read the same files.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.formats import base64url, envelope, link, stream, wire

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


def manifest_case(*, judged: bool = False) -> dict[str, Any]:
    """Without what need not be there; `judged`: with all of it."""
    share_id, data_key, generation = fixed("manifest share", 16), fixed("manifest key", 32), 4 if judged else 3
    said = {"state": "quiet", "source": "2 of 3 images, checked with the PACS; 1 missing"}
    verdict = {"source": "query", "received": 2, "expected": 3, "missing": 1}
    instance = {
        "uid": "1.2.3.4.5", "class": "1.2.840.10008.5.1.4.1.1.2", "syntax": "1.2.840.10008.1.2.1", "number": 1,
        "rows": 512, "columns": 512, "frames": 1, "size": 1000, "stream": base64url.encode(fixed("m stream", 16)),
        "key": base64url.encode(fixed("m key", 32)), "pieces": [[0, 0, 1056]],
    }  # fmt: skip
    manifest: dict[str, Any] = {
        "format": "slipway-manifest/1", "share": base64url.encode(share_id), "generation": generation,
        "state": "arriving", "source": "", "received": 2, "site": "St Mary's Radiology", "language": "en",
        "patient": {"name": "Rivers^Ada", "id": "1234", "birth_date": "19700131", "sex": "F"},
        "studies": [{"uid": "1.2.3", "date": "20260114", "time": "101500", "description": "CT Chest", "accession": "A1",
                     "series": [{"uid": "1.2.3.4", "number": 3, "modality": "CT", "description": "Thorax 1.0",
                                 "instances": [instance]}]}],
    }  # fmt: skip
    if judged:
        manifest |= {**said, "verdict": verdict}
        manifest["studies"][0]["added"] = 1795000000
    header = bytes([stream.HEADER_BYTES]) + fixed("manifest header", 39)
    plain = json.dumps(manifest, separators=(",", ":")).encode()
    sealed = stream.seal(data_key, stream.manifest_aad(share_id, generation), plain, header)
    return {
        "share_id": base64url.encode(share_id), "data_key": base64url.encode(data_key), "generation": generation,
        "sealed": base64url.encode(sealed), "manifest": manifest,
    }  # fmt: skip


def wire_case() -> dict[str, Any]:
    """One signed request and its answer, and one enrolment, with keys that everybody may know (Ed25519 seeds)."""
    device, vault = (Ed25519PrivateKey.from_private_bytes(fixed(f"{who} key", 32)) for who in ("device", "vault"))
    path, body, answer = "/device/v1/shares/AAAAAAAAAAAAAAAAAAAAAA/objects/3", b"ciphertext", b'{"size": 10}'
    device_id, nonce = base64url.encode(fixed("device id", 16)), base64url.encode(fixed("nonce", 16))
    request = wire.sign_request("PUT", path, body, key=device, device_id=device_id, created=1795000000, nonce=nonce)
    params = '("@status" "content-digest" "signature";req;key="slipway");created=1795000001;keyid="vault";alg="ed25519"'
    digest = wire.content_digest(answer)
    base = "\n".join(
        (
            '"@status": 201',
            f'"content-digest": {digest}',
            f'"signature";req;key="slipway": {request.signature}',
            f'"@signature-params": {params}',
        )
    )
    signature = base64.b64encode(vault.sign(base.encode())).decode()
    code, public_key = "7K3F-9M2Q-ABCD-EFGH", device.public_key().public_bytes_raw()
    asked = wire.parse_code(code)
    vault_key = vault.public_key().public_bytes_raw()
    message = b"slipway/1 enrol vault" + public_key + fixed("device id", 16) + vault_key
    return {
        "device_seed": base64url.encode(fixed("device key", 32)),
        "vault_seed": base64url.encode(fixed("vault key", 32)),
        "device_id": device_id,
        "request": {"method": "PUT", "path": path, "body": body.decode(), "created": 1795000000, "nonce": nonce,
                    "headers": request.headers},
        "answer": {"status": 201, "body": answer.decode(), "created": 1795000001, "headers": {
            "Content-Digest": digest, "Signature-Input": f"slipway={params}", "Signature": f"slipway=:{signature}:"}},
        "enrolment": {"code": code, "request": asked.request(public_key), "answer": {
            "device_id": device_id, "vault_key": base64url.encode(vault_key),
            "mac": base64url.encode(hmac.digest(asked.key, message, "sha256"))}},
    }  # fmt: skip


def main() -> None:
    for name, cases in {
        "stream": stream_cases(), "link": link_cases(), "envelope": envelope_cases(), "manifest": manifest_case(),
        "manifest-judged": manifest_case(judged=True), "wire": wire_case(),
    }.items():  # fmt: skip
        (HERE / f"{name}.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
