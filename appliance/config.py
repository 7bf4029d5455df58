"""slipway.toml to frozen settings, read once. Unknown keys are errors that name the nearest known one."""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from appliance.errors import SettingsError
from appliance.formats.languages import LANGUAGES, known_language

DEFAULT_PATH = Path("/etc/slipway/slipway.toml")


def _ae_title(value: str) -> str:
    title = value.strip()
    if not 1 <= len(title) <= 16 or not title.isascii() or not title.isprintable() or "\\" in title:
        raise ValueError("an AE title is 1 to 16 printable ASCII characters without a backslash (PS3.5 section 6.2)")
    return title


def _host_port(value: str) -> tuple[str, int]:
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError("write HOST:PORT, such as 0.0.0.0:104")
    return host.strip("[]"), int(port)


def _listener(value: str) -> str:
    _host_port(value)
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError("write an IP address or a network such as 10.20.0.0/24") from None
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _client_name(value: str) -> str:
    if not re.fullmatch("[A-Za-z0-9_-]{1,16}", value):
        raise ValueError("a client's name is 1 to 16 letters, digits, _ and -")
    return value


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ValueError("the vault's address starts with https:// (http:// only on this machine)")
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("the vault's address is https://HOST or https://HOST:PORT, without a path")
    return value.rstrip("/")


def _fingerprint(value: str) -> str:
    digits = value.replace(":", "").replace(" ", "").lower()
    if value and not re.fullmatch("[0-9a-f]{64}", digits):
        raise ValueError("write the SHA-256 of the certificate: openssl x509 -in FILE -noout -fingerprint -sha256")
    return digits


def _language(value: str) -> str:
    if value and not known_language(value):
        raise ValueError(
            f"there are no words in {value!r}; write one of {', '.join(sorted(LANGUAGES)).replace('_', '-')}"
        )
    return value


Language = Annotated[str, AfterValidator(_language)]


def _pattern(value: str) -> str:
    try:
        groups = re.compile(value).groups
    except re.error as error:
        raise ValueError(f"this is no regular expression: {error}") from None
    if value and groups != 1:
        raise ValueError("write a regular expression with one group, the Patient ID: such as PID:([A-Z0-9]+);.*")
    return value


def _scanner(value: str) -> str:
    if value and not re.fullmatch(r"(serial|hid):///[^/].*", value):
        raise ValueError("write serial:///dev/ttyACM0, or hid:///dev/input/by-id/NAME-event-kbd")
    return value


def _imager(value: str) -> str:
    if value and not re.fullmatch(r"serial:///[^/].*", value):
        raise ValueError("write serial:///dev/ttyACM0; an imager that pretends to be a keyboard is set to USB serial")
    return value


def _syslog(value: str) -> str:
    if value and not value.startswith("tls://"):
        raise ValueError("write tls://HOST:PORT, such as tls://audit.example.org:6514")
    if value:
        _host_port(value.removeprefix("tls://"))
    return value


AeTitle = Annotated[str, AfterValidator(_ae_title)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Site(_Section):
    name: str = "Imaging department"
    language: Language = "en"
    phone: str = ""
    logo_file: str = ""  # PNG, on every slip


class PeerSettings(_Section):
    ae_title: AeTitle
    address: Annotated[str, AfterValidator(_network)]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    certificate_sha256: Annotated[str, AfterValidator(_fingerprint)] = ""  # set: only over TLS, and with this one
    quota_gb: Annotated[float, Field(gt=0)] | None = None  # of what waits for the vault; then 0xA700


class TlsListener(_Section):
    listen: tuple[Annotated[str, AfterValidator(_listener)], ...] = ("0.0.0.0:2762",)
    certificate_file: Annotated[str, Field(min_length=1)]
    key_file: Annotated[str, Field(min_length=1)]
    client_ca_file: str = ""
    client_certificate: Literal["none", "optional", "required"] | None = None  # default: see `asks`

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.asks != "none" and not self.client_ca_file:
            raise ValueError(
                f'client_certificate = "{self.asks}" needs client_ca_file: the authority that signs the certificates'
            )
        if self.asks == "none" and self.client_ca_file:
            raise ValueError(
                'client_certificate = "none" asks for no certificate that client_ca_file could verify: drop one of them'
            )
        return self

    @property
    def asks(self) -> Literal["none", "optional", "required"]:
        return self.client_certificate or ("required" if self.client_ca_file else "none")

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        return tuple(_host_port(value) for value in self.listen)


class Dicom(_Section):
    listen: tuple[Annotated[str, AfterValidator(_listener)], ...] = ("0.0.0.0:104",)
    unknown_peers: Literal["park", "refuse", "accept"] = "park"
    storage_commitment: Literal["refuse", "off"] = "refuse"  # a relay promises nothing; off: not even negotiated
    peer: tuple[PeerSettings, ...] = ()
    tls: tuple[TlsListener, ...] = ()

    @model_validator(mode="after")
    def _certificates_are_asked_for(self) -> Self:
        pinned = [peer.ae_title for peer in self.peer if peer.certificate_sha256]
        if pinned and all(listener.asks == "none" for listener in self.tls):
            raise ValueError(
                f"certificate_sha256 of {pinned[0]} needs a [[dicom.tls]] with client_ca_file: no other asks for it"
            )
        return self

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        return tuple(_host_port(value) for value in self.listen)


class DicomwebClient(_Section):
    """A sender over HTTP; its token: slipway peers token NAME."""

    name: Annotated[str, AfterValidator(_client_name)]  # stands for a calling AE title
    token_file: str = ""  # SHA-256 of its token; default: the systemd credential dicomweb.NAME, else PATH/dicomweb.NAME
    profiles: tuple[AeTitle, ...] = ()  # to which it may send; none named: to all
    address: Annotated[str, AfterValidator(_network)] | Literal[""] = ""  # from which alone; "" is any
    quota_gb: Annotated[float, Field(gt=0)] | None = None  # of what waits for the vault; then 503

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.quota_gb is not None and not self.address:
            raise ValueError(f"quota_gb of {self.name} needs its address: quotas are counted by both")
        return self


class DicomwebSettings(_Section):
    """STOW-RS; off without `listen`."""

    listen: tuple[Annotated[str, AfterValidator(_listener)], ...] = ()
    certificate_file: str = ""
    key_file: str = ""
    client: tuple[DicomwebClient, ...] = ()

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if bool(self.certificate_file) != bool(self.key_file):
            raise ValueError("certificate_file and key_file go together")
        away = [value for value, (host, _) in zip(self.listen, self.addresses, strict=True) if not _is_loopback(host)]
        if away and not self.certificate_file:
            raise ValueError(f"{away[0]} needs certificate_file and key_file: without TLS only 127.0.0.1 and [::1]")
        names = [client.name for client in self.client]
        if len(set(names)) != len(names):
            raise ValueError("each [[dicomweb.client]] needs a name of its own")
        if self.listen and not names:
            raise ValueError("listen needs a [[dicomweb.client]]: nobody could send")
        return self

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        return tuple(_host_port(value) for value in self.listen)


class Profile(_Section):
    """An AE title that the box answers to, and what a share sent there means."""

    ae_title: AeTitle
    expires_days: Annotated[float, Field(gt=0, le=400)] = 7
    grace_days: Annotated[float, Field(ge=0, le=400)] = 14
    second_factor: Literal["birth-date", "pin", "none"] = "birth-date"
    print: Literal["first-image", "complete", "request"] = "first-image"  # request: when a PACS asks for media
    quiet_seconds: Annotated[float, Field(gt=0, le=3600)] = 30  # shorter splits CT series that pause in between
    visit_hours: Annotated[float, Field(gt=0, le=168)] = 12
    copies: Annotated[int, Field(ge=1, le=5)] = 1
    language: Language = ""  # "" is the site's; a patient's own, where the images name one, comes first
    large_print: bool = False
    staff_half: bool = False  # a part below a cut line that the department keeps
    interlock: Literal["none", "wristband"] = "none"  # wristband: a slip is printed once the patient's was scanned
    interlock_pattern: Annotated[str, AfterValidator(_pattern)] = ""  # of codes that hold more than the Patient ID
    without_patient_id: Literal["hold", "share"] = "hold"  # images without one: a person decides, or a share a study
    hold_for_report: bool = False  # nothing leaves before a report (SR, encapsulated document) of each study is here
    approvals: Annotated[int, Field(ge=0, le=3)] = 0  # different people who must release a share before it leaves
    never_procedure_codes: tuple[str, ...] = ()  # Code Values; such a study is held until a person releases it
    never_body_parts: tuple[str, ...] = ()  # Body Part Examined (0018,0015)


class PrinterSettings(_Section):
    device: str = "usb"
    paper_mm: Literal[58, 80] = 80
    model: str = "TM-T20II"
    density: Annotated[int, Field(ge=-6, le=8)] = 0  # 5 % a step, where the model has a command for it
    imager: Annotated[str, AfterValidator(_imager)] = ""  # that reads each slip's code before it is cut; "" is none
    imager_feed_mm: Annotated[float, Field(ge=0, le=200)] = 0  # from the slip's end under the head to where it sees it
    job_ttl_minutes: Annotated[float, Field(gt=0, le=1440)] = 30  # a slip that waited longer comes out only when asked


class ScannerSettings(_Section):
    device: Annotated[str, AfterValidator(_scanner)] = ""  # "" is none
    reads: Literal["wristband", "accession", "both"] = "wristband"  # accession: the study is pulled from the PACS
    profile: AeTitle | Literal[""] = ""  # to which a scanned study is pulled; "" is the first


class PacsSettings(_Section):
    peer: AeTitle | Literal[""] = ""  # of a [[dicom.peer]] with a port; "" is none
    retrieve: Literal["move", "get"] = "move"  # move: the PACS must know this box; get: it need not
    check: bool = True  # ask it how many images each study has
    check_again_seconds: Annotated[float, Field(ge=1, le=600)] = 30  # between two answers that must agree


class VaultSettings(_Section):
    url: Annotated[str, AfterValidator(_http_url)] | Literal[""] = ""  # "" is the one that the box enrolled with
    ca_file: str = ""


class SpoolSettings(_Section):
    path: Path = Path("/var/lib/slipway")
    spare_files: Annotated[int, Field(ge=0, le=64)] = 4  # of 65 MiB, written over instead of grown: faster reception
    quota_gb: Annotated[float, Field(gt=0)] | None = None  # of all that waits for the vault; then 0xA700
    fill_percent: Annotated[int, Field(ge=10, le=100)] = 90  # of the disk, whoever filled it; then 0xA700
    key_file: str = ""  # 32 bytes; default: the systemd credential spool.key, else PATH/spool.key, made at first start


class AuditSettings(_Section):
    keep_days: Annotated[float, Field(ge=1, le=3650)] = 365  # and never more than 1 GB
    syslog: Annotated[str, AfterValidator(_syslog)] = ""  # tls://HOST:6514, an audit repository
    ca_file: str = ""  # that signs the repository's certificate; default: the system's authorities
    certificate_file: str = ""  # of this box, where the repository asks for one
    key_file: str = ""
    codes: Literal["csd-code", "code"] = "csd-code"  # how messages write codes: as today, or as before 2013

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if bool(self.certificate_file) != bool(self.key_file):
            raise ValueError("certificate_file and key_file go together")
        return self

    @property
    def repository(self) -> tuple[str, int] | None:
        return _host_port(self.syslog.removeprefix("tls://")) if self.syslog else None


class Settings(_Section):
    site: Site = Site()
    dicom: Dicom = Dicom()
    dicomweb: DicomwebSettings = DicomwebSettings()
    profile: tuple[Profile, ...] = (Profile(ae_title="SHARE"),)
    printer: PrinterSettings = PrinterSettings()
    scanner: ScannerSettings = ScannerSettings()
    pacs: PacsSettings = PacsSettings()
    vault: VaultSettings = VaultSettings()
    spool: SpoolSettings = SpoolSettings()
    audit: AuditSettings = AuditSettings()

    @model_validator(mode="after")
    def _names_meet(self) -> Self:
        peers = {peer.ae_title: peer for peer in self.dicom.peer}
        if self.pacs.peer and (self.pacs.peer not in peers or peers[self.pacs.peer].port is None):
            raise ValueError(f"[pacs] peer {self.pacs.peer} needs a [[dicom.peer]] of this AE title with a port")
        titles = {profile.ae_title for profile in self.profile}
        for client in self.dicomweb.client:
            if missing := set(client.profiles) - titles:
                raise ValueError(f"[[dicomweb.client]] {client.name}: {min(missing)} is no [[profile]]")
        if self.scanner.device and self.scanner.reads != "wristband" and not self.pacs.peer:
            raise ValueError(f'[scanner] reads = "{self.scanner.reads}" needs [pacs] peer: the archive that is asked')
        if self.scanner.profile and self.scanner.profile not in titles:
            raise ValueError(f"[scanner] profile {self.scanner.profile} is no [[profile]]")
        return self

    def profile_of(self, ae_title: str) -> Profile | None:
        return next((profile for profile in self.profile if profile.ae_title == ae_title), None)


def load(path: Path) -> Settings:
    """SettingsError with the key, what is wrong with it, and the nearest known key."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = "Give the file's place with --config, or copy the sample in docs/install.md to /etc/slipway/."
        raise SettingsError(f"there is no settings file {path}", hint=hint) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    return parse(raw, str(path))


def parse(raw: dict[str, Any], where: str = "settings") -> Settings:
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        lines = [_complaint(raw, problem["type"], problem["loc"], problem["msg"]) for problem in error.errors()]
        raise SettingsError(f"{where}: " + "; ".join(lines)) from None
    titles = [profile.ae_title for profile in settings.profile]
    if not titles or len(set(titles)) != len(titles):
        raise SettingsError(f"{where}: each [[profile]] needs an ae_title of its own, and there must be one at least")
    return settings


def _complaint(raw: dict[str, Any], kind: str, place: tuple[int | str, ...], message: str) -> str:
    key = ".".join(str(part) for part in place if isinstance(part, str))
    if kind != "extra_forbidden":
        return f"{key}: {message.removeprefix('Value error, ')}"
    near = difflib.get_close_matches(str(place[-1]), _known_keys(place[:-1]), n=1)
    return f"unknown key {key}" + (f", did you mean {near[0]}?" if near else "")


def _known_keys(place: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in place:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            inner = getattr(annotation, "__args__", (annotation,))[0]
            model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else model
    return list(model.model_fields)
