"""A link that opens nothing and is on no paper, for a share that was taken back.

The vault deletes a share with its last link, and the box does not have all of its images any more: they could not be
handed out again. Such a link lasts as long as a slip's would have.
"""

from __future__ import annotations

import os

from appliance.daemon.minting import DAY_S, LinkTerms
from appliance.formats import base64url
from appliance.formats.envelope import FactorKind, LinkKeys, factor_bytes, verifier
from appliance.formats.sealed import Sealer
from appliance.ports import Row, Transaction


def keep(tx: Transaction, share: Row, terms: LinkTerms, sealer: Sealer, now: float) -> int:
    """The link's row. What the vault gets is made as for any link, from secrets that nobody has and no data key."""
    link_id, secret, share_key = os.urandom(16), os.urandom(32), os.urandom(32)
    factor = factor_bytes(FactorKind.NONE, "")
    envelope = LinkKeys(link_id, secret, share_key, factor).wrap(share["share_id"], os.urandom(32))
    parts = (b"", share_key, envelope, verifier(secret, link_id, factor))
    row = tx.one(
        "add_link",
        link_id=link_id,
        share=share["id"],
        factor=str(FactorKind.NONE),
        sealed=sealer.seal_json(b"link" + link_id, [base64url.encode(part) for part in parts]),
        pin=None,
        expires_in_s=terms.expires_days * DAY_S,
        grace_s=terms.grace_days * DAY_S,
        now=now,
    )
    return int(row["id"])
