"""The DICOM Conformance Statement (PS3.2 annex N), written from the code's own tables and constants.

`python -m tests.conformance > docs/conformance.md`. What the box accepts is asked of `negotiate`, one proposal at a
time, so that nothing is claimed which it would not do.
"""

# ruff: noqa: E501  (paragraphs of the document)
from __future__ import annotations

import sys

import pynetdicom  # noqa: F401  (adds the names of the newest transfer syntaxes to pydicom's dictionary)
from pydicom._uid_dict import UID_dictionary

from appliance import config
from appliance.adapters import dicom_tls
from appliance.adapters.acceptor import SILENT_OVER_TLS
from appliance.adapters.association import BUFFER_BYTES, MAXIMUM_LENGTH, Limits
from appliance.adapters.commitment_reports import MOST_REPORTS
from appliance.dicom import charset, negotiation, pdu, storage_commitment, upper_layer
from appliance.dicom.attributes import HEAD_BYTES_MAX
from appliance.dicom.dimse import MAX_COMMAND_BYTES, MAX_DATASET_BYTES, CommandField, Status
from appliance.dicom.elements import MAX_ITEMS
from appliance.dicom.negotiation import ASKED, EXPLICIT_LE, STORAGE_COMMITMENT, VERIFICATION, negotiate
from appliance.dicom.pdu import AssociateRequest, ProposedContext, Result
from appliance.formats.audit_message import EVENTS
from tests import conformance_requestor, conformance_services
from tests.conformance_parts import hexadecimal, table
from tests.conformance_services import NAMES

CT = "1.2.840.10008.5.1.4.1.1.2"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
ANSWERED = {  # by service, the statuses that it is answered with
    "C-ECHO": {Status.SUCCESS: "The box is there."},
    "C-STORE": {
        Status.SUCCESS: "The instance is encrypted and on the box's disk, flushed: it outlives a power cut. "
        "Its dataset has not been parsed, and it is no commitment to archive.",
        Status.OUT_OF_RESOURCES: "Nothing was kept: the disk is full (Error Comment: `box is full, try again later`) "
        "or failed (Error Comment: the box's error code). The SCU may send again.",
        Status.SOP_CLASS_NOT_SUPPORTED: "Nothing was kept: it is a DICOMDIR "
        f"({negotiation.MEDIA_DIRECTORY}, whose context is accepted all the same). The images beside it are taken.",
        Status.CANNOT_UNDERSTAND: "Nothing was kept: the command has no Affected SOP Class UID or SOP Instance UID.",
    },
    "Storage Commitment, N-ACTION": {
        Status.SUCCESS: "The request was understood. An N-EVENT-REPORT follows, which says that nothing is committed.",
        Status.PROCESSING_FAILURE: "The dataset is absent or cannot be read, or names no instance.",
        Status.NO_SUCH_SOP_INSTANCE: "Not the well-known instance.",
        Status.NO_SUCH_SOP_CLASS: "Not the SOP class of the presentation context.",
        Status.NO_SUCH_ACTION: f"Not action type {storage_commitment.REQUEST_COMMITMENT}.",
        Status.RESOURCE_LIMITATION: f"The dataset is longer than {MAX_DATASET_BYTES} bytes, names "
        f"more than {MAX_ITEMS} instances, or {MOST_REPORTS + 1} reports are unanswered.",
    },
    **conformance_services.ANSWERED,
    "C-STORE without a dataset, any other request": {
        Status.UNRECOGNIZED_OPERATION: "The box does not know the operation on this context."
    },
}


def accepts(abstract_syntax: str, *transfer_syntaxes: str, commitment: bool = True) -> Result:
    request = AssociateRequest("", "", (ProposedContext(1, abstract_syntax, transfer_syntaxes),), 0, "")
    return negotiate(request, storage_commitment=commitment, services=True)[0].result


def known(kind: str) -> list[tuple[str, str]]:
    """(UID, name) of that type in pydicom's dictionary, which is PS3.6 table A-1."""
    retired = {uid: " (retired)" if entry[3] else "" for uid, entry in UID_dictionary.items()}
    found = [
        (uid, (entry[0] or "without a name") + retired[uid])
        for uid, entry in UID_dictionary.items()
        if entry[1] == kind
    ]
    return sorted(found, key=lambda pair: [int(part) for part in pair[0].split(".")])


def storage_classes() -> list[tuple[str, str]]:
    others = (VERIFICATION, STORAGE_COMMITMENT, *ASKED, negotiation.MEDIA_DIRECTORY)
    found = known("SOP Class")
    return [pair for pair in found if pair[0] not in others and accepts(pair[0], EXPLICIT_LE) is Result.ACCEPTED]


def transfer_syntaxes(abstract_syntax: str, *, accepted: bool = True) -> list[tuple[str, str]]:
    found = known("Transfer Syntax")
    return [pair for pair in found if (accepts(abstract_syntax, pair[0]) is Result.ACCEPTED) is accepted]


def statement(limits: Limits | None = None) -> str:
    parts = [
        overview(),
        introduction(),
        networking(limits or Limits()),
        characters(),
        security(limits or Limits()),
        annexes(),
    ]
    return "\n".join(parts)


def overview() -> str:
    services = [
        ("Verification", "yes", "yes"),
        ("Storage", "no", "yes"),
        ("Storage Commitment Push Model: answered, nothing is ever committed", "no", "yes"),
        *((name, "no", "yes") for name in NAMES.values()),
        ("Unified Procedure Step - Event: state reports", "no", "yes"),
        ("Study Root Query/Retrieve: FIND, and MOVE or GET", "yes", "no"),
    ]
    return f"""# DICOM Conformance Statement

Slipway, the box (`slipway`), implementation version {pdu.IMPLEMENTATION_VERSION_NAME}. In the structure of PS3.2 annex N. Generated from the program's own tables and constants
by `python -m tests.conformance > docs/conformance.md`; a test fails when the two differ.

## 1 Overview
The box receives composite instances over DICOM, encrypts them as they arrive, relays them to a vault that cannot read them, and prints a slip with which the patient
opens them. It is a relay, not an archive: it commits nothing, and answers no queries.

**Network services**

{table(("Service", "User (SCU)", "Provider (SCP)"), services)}
DICOMweb: STOW-RS as origin server (4.6). No media services. No SOP class is Standard Extended, Specialized or of the box's own.

## 2 Contents
1 Overview · 2 Contents · 3 Introduction · 4 Networking · 5 Media interchange · 6 Character sets · 7 Security · 8 Annexes
"""


def introduction() -> str:
    return """## 3 Introduction
For hospital IT and for vendors of modalities and PACS who connect to the box. That two statements agree does not prove that two systems work together: send a test
study. Terms are those of PS3.1 to PS3.8. AE: application entity; SCU, SCP: service class user, provider; PDU: protocol data unit; UID: unique identifier.
"""


def networking(limits: Limits) -> str:
    return "\n".join(
        [
            "## 4 Networking",
            implementation_model(),
            entity(limits),
            acceptance(),
            storage(),
            statuses(),
            conformance_services.services(),
            conformance_requestor.requestor(),
            configuration(),
            conformance_requestor.web_services(),
            "## 5 Media interchange\nNone.\n",
        ]
    )


def implementation_model() -> str:
    return """### 4.1 Implementation model
Two application entities under the AE titles of the profiles. The **acceptor** (4.2): SCUs at the modalities, the PACS or a worklist associate with it, store, and ask for shares; all its services may use one association. An instance is spooled, then
answered; what it is and whose is looked at afterwards. The **requestor** (4.3) asks a PACS for studies and images, tells subscribers of workitems what became of them, and echoes.
"""


def entity(limits: Limits) -> str:
    policies = [
        ("Application context", APPLICATION_CONTEXT),
        ("Implementation class UID", pdu.IMPLEMENTATION_CLASS_UID),
        ("Implementation version name", pdu.IMPLEMENTATION_VERSION_NAME),
        ("Maximum PDU length that the box takes", f"{MAXIMUM_LENGTH} bytes; a longer P-DATA-TF: A-ABORT"),
        (
            "Maximum PDU length that the box sends",
            f"the SCU's, at most {upper_layer.MAX_SENT_BYTES} bytes; commands are one PDU each",
        ),
        (
            "Associations at once",
            f"{limits.associations}, an address as many as it leaves free; one more is rejected, transient",
        ),
        (
            "Connections without an association",
            f"{limits.silent}, {SILENT_OVER_TLS} of them over TLS; for one more, one of them is closed",
        ),
        (
            "Asynchronous operations window",
            f"where the SCU proposes one, at most {pdu.MOST_INVOKED} operations invoked and {pdu.MOST_PERFORMED} performed; "
            "responses may come in another order than the requests. Else one operation at a time",
        ),
        (
            "SCU/SCP role selection, extended negotiation, user identity, items not in the standard",
            "ignored where proposed, not answered: the SCU is SCU, and nobody is let in or kept out by a user identity",
        ),
        ("A-ASSOCIATE-RQ", f"at most {pdu.MOST_ITEMS} items and {upper_layer.MAX_REQUEST_BYTES} bytes, else A-ABORT"),
        ("Command set", f"at most {MAX_COMMAND_BYTES} bytes, else A-ABORT"),
        ("Time-out for the A-ASSOCIATE-RQ", f"{limits.request_s:g} s from the connection; then it is closed"),
        ("Time-out of an association on which nothing comes", f"{limits.idle_s:g} s; then A-ABORT"),
        ("Time-out for the close of a connection (ARTIM)", f"{limits.close_s:g} s after the box's last PDU"),
        ("Reception buffer", f"{BUFFER_BYTES} bytes, one for all associations"),
    ]
    return f"""### 4.2 AE specification: the acceptor
It initiates no association.

**Association policies**

{table(("Policy", "Value"), policies)}
A message that breaks the protocol ends its association with A-ABORT (source: service provider). An association that ends amid a dataset leaves nothing of that instance;
those answered with {hexadecimal(Status.SUCCESS)} stay.
"""


def acceptance() -> str:
    rejections = [found for found in vars(pdu).values() if isinstance(found, pdu.Rejection)]
    rows = [(found.sentence, found.result, found.source, found.reason) for found in rejections]
    commitment = accepts(STORAGE_COMMITMENT, EXPLICIT_LE, commitment=False)
    contexts = [
        ("Verification", VERIFICATION, syntaxes(VERIFICATION), "SCP", "none"),
        ("Storage, 4.2.3", "4.2.3", "4.2.3", "SCP", "none"),
        ("Storage Commitment Push Model", STORAGE_COMMITMENT, syntaxes(STORAGE_COMMITMENT), "SCP", "none"),
        *((name, uid, syntaxes(uid), "SCP", "none") for uid, name in NAMES.items()),
    ]
    head = ("Abstract syntax", "UID", "Transfer syntaxes", "Role", "Extended negotiation")
    return f"""#### 4.2.1 Associations accepted
Rejected are, with A-ASSOCIATE-RJ:

{table(("Why", "Result", "Source", "Reason"), rows)}
A known peer is an AE title **and** an address or network, in the settings or approved by staff, and where the settings name one (`certificate_sha256`) a
certificate that it shows over TLS; see 4.5.

#### 4.2.2 Presentation contexts

{table(head, contexts)}
For all but storage the first usable transfer syntax of the proposal is accepted. Other abstract syntaxes are rejected with result
{Result.ABSTRACT_SYNTAX_NOT_SUPPORTED.value}, contexts without a usable transfer syntax with {Result.TRANSFER_SYNTAXES_NOT_SUPPORTED.value}. With `storage_commitment = "off"` that context is rejected with result {commitment.value}.
"""


def syntaxes(abstract_syntax: str) -> str:
    return ", ".join(f"{name.removesuffix(' (retired)')} ({uid})" for uid, name in transfer_syntaxes(abstract_syntax))


def storage() -> str:
    classes, taken = storage_classes(), transfer_syntaxes(CT)
    refused = transfer_syntaxes(CT, accepted=False)
    names = " before ".join(UID_dictionary[uid][0] for uid in negotiation._UNCOMPRESSED)
    return f"""#### 4.2.3 Storage SOP classes
Role SCP, C-STORE. Accepted are the {len(classes)} storage SOP classes below, those that the standard adds under the same roots, and every private SOP class (a UID outside
1.2.840.10008). Datasets are stored, relayed and handed out bit for bit as they came, private attributes included, in the transfer syntax in which they came: PS3.4 B.4.1
level 2 (full). Nothing is coerced, no digital signature is checked or removed. An instance that comes again is answered as at first. The box keeps an instance until
its share closes; it is no archive. Of the dataset's first {HEAD_BYTES_MAX} bytes the attributes that identify patient, study, series and instance are read after the answer.

Of the transfer syntaxes that an SCU proposes in one context, one is accepted, so that no SCU has to decompress or to compress:

1. a private one only where no other is proposed;
2. the first one, if it is compressed;
3. the other one, if two are proposed and one is Implicit VR Little Endian;
4. else {names}.

An SCU that holds instances in several transfer syntaxes should propose each in a context of its own.

{table(("SOP class", "UID"), ((name, uid) for uid, name in classes))}
Transfer syntaxes, for each of these; every private one as well, and those that the standard adds:

{table(("Transfer syntax", "UID"), ((name, uid) for uid, name in taken))}
Refused, because such a dataset holds the address of a server in the hospital in place of the pixels: {", ".join(f"{name} ({uid})" for uid, name in refused)}.
"""


def statuses() -> str:
    rows = [
        (service, hexadecimal(status), meaning)
        for service, all_ in ANSWERED.items()
        for status, meaning in all_.items()
    ]
    return f"""#### 4.2.4 Status codes

{table(("Request", "Status", "Meaning"), rows)}
A C-CANCEL-RQ is ignored. A response to a request that the box did not send ends the association with A-ABORT.

#### 4.2.5 Storage commitment
The box relays instances and forgets them, and an SCU may delete what is committed: so it commits nothing. After N-ACTION-RSP {hexadecimal(Status.SUCCESS)} it sends on the same association an
N-EVENT-REPORT-RQ ({hexadecimal(CommandField.N_EVENT_REPORT_RQ)}) for the well-known instance {storage_commitment.WELL_KNOWN_INSTANCE}, event type {storage_commitment.FAILURES_EXIST} (failures exist), with the Transaction UID and
every instance of the request in the Failed SOP Sequence, Failure Reason {hexadecimal(Status.PROCESSING_FAILURE)} (processing failure), whether the box has received it or not. There is no Referenced SOP
Sequence. It sends the next report when the one before is answered, whatever the answer's status. It opens no association for a report: one that is
not taken before the SCU releases is not repeated.
"""


def configuration() -> str:
    dicom, profile = config.Dicom(), config.Profile(ae_title="SHARE")
    rows = [
        ("AE titles that it answers to", "`[[profile]] ae_title`", config.Settings().profile[0].ae_title),
        ("Addresses and ports, without TLS", "`[dicom] listen`", ", ".join(dicom.listen)),
        ("Addresses and ports with TLS: certificate, key, who signs the peers'", "`[[dicom.tls]]`", "none"),
        ("Peers: AE title, address or network", "`[[dicom.peer]]`, `slipway peers approve`", "none"),
        ("What unknown peers meet: park, refuse, accept", "`[dicom] unknown_peers`", dicom.unknown_peers),
        ("Storage commitment: refuse, off", "`[dicom] storage_commitment`", dicom.storage_commitment),
        ("Pause after which a study counts as quiet", "`[[profile]] quiet_seconds`", f"{profile.quiet_seconds:g} s"),
    ]
    return f"""### 4.4 Network interfaces
TCP/IP, IPv4 and IPv6.

### 4.5 Configuration
In `/etc/slipway/slipway.toml`, read at start. The time-outs and limits of 4.2 and 4.3 are fixed.

{table(("What", "Where", "Default"), [*rows, *conformance_requestor.configuration()])}"""


def characters() -> str:
    numbers = ", ".join(f"ISO-IR {number}" for number in charset._RIGHT_HALVES)
    alone = ", ".join(f"ISO_IR {term}" if term.isdigit() else term for term in charset._STAND_ALONE)
    return f"""## 6 Character sets
Datasets are relayed as they came, in whatever character set. For its own use (whose images these are, the slip) the box decodes Specific Character Set (0008,0005) with:

- single-byte and multi-byte sets, with code extensions where they need them: {numbers};
- sets that know no code extensions: {alone}.

None declared is ISO-IR 6. What the declared sets do not define is never guessed: it is marked as undefined, and the instance is stored all the same. Other terms are treated so too.
"""


def security(limits: Limits) -> str:
    tls = config.TlsListener(certificate_file="box.pem", key_file="box.key")
    signed = config.TlsListener(certificate_file="box.pem", key_file="box.key", client_ca_file="ca.pem")
    return f"""## 7 Security
- On the ports of `[dicom] listen` associations are not encrypted, and a peer is known by AE title and address only: keep them in the modalities' network.
- On the ports of `[[dicom.tls]]` (default {", ".join(tls.listen)}) TLS 1.2 or 1.3 comes before anything else, within {limits.handshake_s:g} s; cipher suites of TLS 1.2, as OpenSSL writes them: {dicom_tls.SUITES}. No compression,
  no renegotiation, no session tickets. The peer's certificate is {_asked(tls)} (`client_certificate`) without `client_ca_file`, {_asked(signed)} with it, unless set otherwise; a peer can be tied to one certificate.
- Peers that are not known are rejected before anything is read but their request, and listed for staff (unless `unknown_peers = "accept"`).
- Each instance is encrypted while it arrives; the disk never holds one in plain text. Formats: `docs/envelope.md`; who can read what: `docs/hospital-it.md`.
- No DICOM digital signatures, no DICOM attribute confidentiality profile, no de-identification.

### 7.1 Audit trail (PS3.15 A.5, A.6)
Messages by the schema of A.5.1, one each; sent over TLS syslog (RFC 5425) where `[audit] syslog` names a repository, exported with `slipway audit export --xml`. MSGID is `DICOM+RFC3881`; STRUCTURED-DATA is `meta` with `sequenceId`,
the record's number: after a broken connection a batch may come twice. Patients by ID, never by name. Coding scheme 99SLIPWAY is the box's own.

{audit_messages()}
"""


def audit_messages() -> str:
    lines = ["| when | EventID | EventActionCode | EventTypeCode |", "| --- | --- | --- | --- |"]
    for kind, (event, action, type_code) in EVENTS.items():
        of = f"{type_code.value} {type_code.scheme} {type_code.meaning}" if type_code else ""
        lines.append(f"| {kind.replace('-', ' ')} | {event.value} {event.meaning} | {action} | {of} |")
    return "\n".join(lines)


def _asked(listener: config.TlsListener) -> str:
    return {"none": "not asked for", "optional": "verified if shown", "required": "required"}[listener.asks]


def annexes() -> str:
    return """## 8 Annexes
The box creates no composite instances and has no private attributes, SOP classes, transfer syntaxes or codes of its own, and no grayscale display.
"""


if __name__ == "__main__":
    sys.stdout.write(statement())
