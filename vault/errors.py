"""Every refusal of the vault: the wire's code, its status, what is wrong and what to do next.

No message may hold a link id, a token, an address or anything a patient typed: messages reach logs and screens.
"""

from __future__ import annotations

from collections.abc import Iterable


class VaultError(Exception):
    """Base of all. `status` and `code` are the wire's (docs/wire.md); `exit_status` is the command's."""

    status = 500
    code = "failed"
    summary = "Something failed inside the vault."
    hint = "Try again; if it persists, look at the service's journal: journalctl -u slipway-vault."
    exit_status = 1

    def __init__(self, summary: str | None = None, *, hint: str | None = None) -> None:
        self.summary = summary or type(self).summary
        self.hint = hint or type(self).hint
        self.headers: dict[str, str] = {}
        self.extra: dict[str, int] = {}  # members that stand beside `error` in the answer
        super().__init__(self.summary)


class SettingsError(VaultError):
    code = "settings_wrong"
    summary = "The settings are wrong."
    hint = "Correct the settings file (docs/vault-operator.md lists every key)."
    exit_status = 2


class RunningError(VaultError):
    code = "already_running"
    summary = "Another process holds the ledger's lock but does not answer on its control socket."
    hint = "Wait for it to finish, or stop it: systemctl stop slipway-vault. Then try again."


class NotFoundError(VaultError):
    status = 404
    code = "not_found"
    summary = "There is nothing here."
    hint = "Check the address against docs/wire.md."


class MethodNotAllowedError(VaultError):
    status = 405
    code = "method_not_allowed"
    summary = "This cannot be done here."
    hint = "Check the method against docs/wire.md."

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__()
        self.headers["Allow"] = ", ".join(sorted(allowed))


class UnavailableError(VaultError):
    """The disk under the ledger or the objects failed; nothing was acknowledged."""

    status = 503
    code = "unavailable"
    summary = "The vault cannot reach what it stores."
    hint = "Try again later. Operator: check the disk's health and free space, then restart the service."


class BrokenError(UnavailableError):
    """The ledger's disk failed under a commit. Only a new start, which re-reads everything, may go on."""

    summary = "The disk under the ledger failed."
    hint = "Check the disk (dmesg, smartctl), then restart the service."


class BadRequestError(VaultError):
    status = 400
    code = "bad_request"
    summary = "The request is malformed."
    hint = "Send it as docs/wire.md says."


class BodyTooLargeError(VaultError):
    status = 413
    code = "too_large"
    summary = "The body is larger than this request may carry."
    hint = "Send at most what docs/wire.md allows."


class BodyTooSlowError(VaultError):
    status = 408
    code = "too_slow"
    summary = "The body did not arrive in time."
    hint = "Send it again over a better connection."


class TooManyRequestsError(VaultError):
    status = 429
    code = "too_many_requests"
    summary = "Too many requests came from this address."
    hint = "Wait for as long as Retry-After says, then try again."

    def __init__(self, retry_after_s: int) -> None:
        super().__init__()
        self.headers["Retry-After"] = str(retry_after_s)


class RangeUnsatisfiableError(VaultError):
    status = 416
    code = "range_unsatisfiable"
    summary = "The object has no such bytes."
    hint = "Ask for a range within the object."

    def __init__(self, size: int) -> None:
        super().__init__()
        self.headers["Content-Range"] = f"bytes */{size}"


# The patient's side


class WrongFactorError(VaultError):
    status = 401
    code = "wrong_factor"
    summary = "That is not what was set for this link."
    hint = "Check it and try again; five wrong tries lock the link for good."

    def __init__(self, tries_left: int) -> None:
        super().__init__()
        self.extra["tries_left"] = tries_left


class TokenUnknownError(VaultError):
    status = 401
    code = "token_unknown"
    summary = "The token is unknown or past its time."
    hint = "Open the link again."


class LinkUnknownError(VaultError):
    status = 404
    code = "link_unknown"
    summary = "There is no such link."
    hint = "The box may not have reached the vault yet: wait a minute, then scan the slip again."


class LinkExpiredError(VaultError):
    status = 410
    code = "link_expired"
    summary = "The link has expired."
    hint = "Ask the imaging department to renew it."


class LinkRevokedError(VaultError):
    status = 410
    code = "link_revoked"
    summary = "The link was revoked, or expired too long ago."
    hint = "Ask the imaging department for a new slip."


class LinkLockedError(VaultError):
    status = 423
    code = "link_locked"
    summary = "The link is locked: five wrong tries."
    hint = "Ask the imaging department for a new slip."


class ObjectUnknownError(VaultError):
    status = 404
    code = "object_unknown"
    summary = "The share has no such object."
    hint = "It may not have been uploaded yet: fetch the newest manifest."


class ManifestPendingError(VaultError):
    status = 404
    code = "manifest_pending"
    summary = "The first images are still on their way."
    hint = "Ask again in a few seconds."


# The box's side


class CodeWrongError(VaultError):
    status = 403
    code = "code_wrong"
    summary = "The enrolment code is unknown, used, out of time or wrong."
    hint = "Ask the vault's operator for a new one: slipway-vault enrol-code NAME."


class ClockSkewError(VaultError):
    status = 401
    code = "clock_skew"
    summary = "The request was signed more than 300 s from the vault's time."
    hint = "Take `now` from this answer and sign again."


class ReplayedError(VaultError):
    status = 401
    code = "replayed"
    summary = "This request was seen before."
    hint = "Sign it again with a new nonce."


class SignatureWrongError(VaultError):
    status = 401
    code = "signature_wrong"
    summary = "The request's signature is missing or wrong."
    hint = "Something between the box and the vault alters requests, or the box's key changed: enrol it again."


class DigestWrongError(VaultError):
    status = 400
    code = "digest_wrong"
    summary = "The body is not what its Content-Digest says."
    hint = "Send it again."


class DeviceUnknownError(VaultError):
    status = 401
    code = "device_unknown"
    summary = "No such device is enrolled."
    hint = "Enrol the box: slipway enrol URL CODE."


class DeviceRevokedError(VaultError):
    status = 403
    code = "device_revoked"
    summary = "The device was revoked."
    hint = "Ask the vault's operator; enrol the box again with a new code."


class ShareUnknownError(VaultError):
    status = 404
    code = "share_unknown"
    summary = "This device has no such share."
    hint = "Make the share first."


class ShareDeletedError(VaultError):
    status = 410
    code = "share_deleted"
    summary = "The share was deleted."
    hint = "Make a new share."


class AlreadyDifferentError(VaultError):
    status = 409
    code = "already_different"
    summary = "Something else is already stored under this name."
    hint = "Names are never reused: take the next number, or a new id."
