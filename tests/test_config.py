"""slipway.toml: every mistake is an error that names the key, what is wrong with it, and the nearest right one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from appliance import config
from appliance.errors import SettingsError

ROOT = Path(__file__).parents[1]


def load(tmp_path: Path, text: str) -> config.Settings:
    path = tmp_path / "slipway.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path, "")
    assert settings.profile_of("SHARE") is not None
    assert settings.dicom.addresses == (("0.0.0.0", 104),)
    assert settings.dicom.unknown_peers == "park"
    assert settings.dicom.storage_commitment == "refuse"
    assert settings.profile[0].second_factor == "birth-date"


def test_the_settings_of_the_contract_are_all_known(tmp_path: Path) -> None:
    """docs and other people's files rely on these names."""
    settings = load(
        tmp_path,
        """
[site]
name = "St Mary's Radiology"
language = "en"
[dicom]
listen = ["0.0.0.0:104", "[::]:11112"]
unknown_peers = "refuse"
storage_commitment = "off"
[[dicom.peer]]
ae_title = "CT1"
address = "10.20.0.0/24"
port = 104
[[profile]]
ae_title = "SHARE"
expires_days = 7
second_factor = "pin"
print = "complete"
quiet_seconds = 30
visit_hours = 12
copies = 2
[[profile]]
ae_title = "OTHER"
[printer]
device = "usb:04b8:0202"
paper_mm = 58
model = "TM-T20II"
job_ttl_minutes = 45
[vault]
url = "https://vault.example.org/"
ca_file = "/etc/ssl/hospital.pem"
[spool]
path = "/var/lib/slipway"
""",
    )
    assert settings.vault.url == "https://vault.example.org"
    assert settings.dicom.addresses[1] == ("::", 11112)
    assert settings.profile_of("OTHER") is not None
    assert settings.profile_of("NONE") is None


def test_the_file_that_the_package_installs_is_right() -> None:
    config.load(ROOT / "systemd/etc/slipway.toml")


TLS = "[[dicom.tls]]\ncertificate_file = 'a'\nkey_file = 'a'\n"
PEER = "[[dicom.peer]]\nae_title = 'A'\naddress = '10.1.1.1'\n"
WEB = "[dicomweb]\n"
WEB_CLIENT = "\n[[dicomweb.client]]\nname = 'RIS'\n"
MISTAKES = {
    "unknown section": ("[sight]\nname = 'x'", r"unknown key sight, did you mean site\?"),
    "unknown key": ("[site]\nnam = 'x'", r"unknown key site\.nam, did you mean name\?"),
    "unknown key in a list": ("[[profile]]\nae_title = 'A'\nquite_seconds = 3", r"did you mean quiet_seconds\?"),
    "unknown key in a peer": ("[[dicom.peer]]\nae_title='A'\nadress='1.2.3.4'", r"did you mean address\?"),
    "unlike anything": ("[site]\nqqqq = 1", r"unknown key site\.qqqq$"),
    "no time to live": ("[printer]\njob_ttl_minutes = 0", r"printer\.job_ttl_minutes"),
    "wrong type": ("[printer]\npaper_mm = 'wide'", r"printer\.paper_mm"),
    "a promise that a relay cannot keep": ("[dicom]\nstorage_commitment = 'commit'", r"storage_commitment.*refuse"),
    "wrong choice": ("[dicom]\nunknown_peers = 'welcome'", r"dicom\.unknown_peers.*park"),
    "no port": ("[dicom]\nlisten = ['0.0.0.0']", r"HOST:PORT"),
    "port too large": ("[dicom]\nlisten = ['0.0.0.0:99999']", r"HOST:PORT"),
    "long title": ("[[profile]]\nae_title = 'SEVENTEEN LETTERS'", r"1 to 16"),
    "backslash": ("[[profile]]\nae_title = 'A\\B'", r"backslash"),
    "twice the same title": ("[[profile]]\nae_title = 'A'\n[[profile]]\nae_title = 'A'", r"of its own"),
    "a title without profile": ("profile = []", r"at least"),
    "peer's address": ("[[dicom.peer]]\nae_title = 'A'\naddress = 'ct1.local'", r"an IP address or a network"),
    "plain HTTP": ("[vault]\nurl = 'http://vault.example.org'", r"https://"),
    "vault with a path": ("[vault]\nurl = 'https://vault.example.org/a'", r"without a path"),
    "too many days": ("[[profile]]\nae_title = 'A'\nexpires_days = 500", r"expires_days"),
    "no quiet": ("[[profile]]\nae_title = 'A'\nquiet_seconds = 0", r"quiet_seconds"),
    "copies": ("[[profile]]\nae_title = 'A'\ncopies = 0", r"copies"),
    "TLS without a key": ("[[dicom.tls]]\ncertificate_file = 'a'", r"dicom\.tls\.key_file"),
    "unknown key in TLS": (TLS + "clinet_ca_file = 'a'", r"did you mean client_ca_file\?"),
    "certificates that nobody verifies": (TLS + "client_certificate = 'required'", r"needs client_ca_file"),
    "optional ones that nobody verifies": (TLS + "client_certificate = 'optional'", r"needs client_ca_file"),
    "an authority for nothing": (TLS + "client_ca_file = 'a'\nclient_certificate = 'none'", r"drop one of them"),
    "no fingerprint": (PEER + "certificate_sha256 = 'AB:CD'", r"openssl x509"),
    "a peer's certificate that nobody asks for": (TLS + PEER + f"certificate_sha256 = '{'ab' * 32}'", "client_ca_file"),
    "plain DICOMweb": (WEB + "listen = ['10.0.0.1:8080']" + WEB_CLIENT, r"without TLS only 127\.0\.0\.1"),
    "DICOMweb by name": (WEB + "listen = ['localhost:8080']" + WEB_CLIENT, r"without TLS only 127\.0\.0\.1"),
    "DICOMweb for nobody": (WEB + "listen = ['127.0.0.1:0']", r"needs a \[\[dicomweb\.client\]\]"),
    "half a pair": (WEB + "key_file = 'a'", r"go together"),
    "two of a name": (WEB_CLIENT + WEB_CLIENT, r"a name of its own"),
    "a name that is a path": ("[[dicomweb.client]]\nname = '../a'", r"letters, digits"),
    "a profile that is none": (WEB_CLIENT + "profiles = ['NONE']", r"NONE is no \[\[profile\]\]"),
    "a client's address": (WEB_CLIENT + "address = 'ris.local'", r"an IP address or a network"),
    "a client's quota anywhere": (WEB_CLIENT + "quota_gb = 5", r"needs its address"),
    "unknown key of a client": (WEB_CLIENT + "profile = ['A']", r"did you mean profiles\?"),
    "not a table": ("site = 3", r"site"),
    "not TOML": ("[site\nname=", r"not valid TOML"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_named(tmp_path: Path, what: str) -> None:
    text, pattern = MISTAKES[what]
    with pytest.raises(SettingsError, match=pattern) as raised:
        load(tmp_path, text)
    assert raised.value.exit_status == 2
    assert raised.value.hint
    assert "slipway.toml" in raised.value.summary


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, "[site]\nnam = 'x'\n[printer]\npaper_mm = 70")
    assert "site.nam" in raised.value.summary
    assert "printer.paper_mm" in raised.value.summary


def test_a_file_that_is_not_there_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no settings file") as raised:
        config.load(tmp_path / "nowhere.toml")
    assert "--config" in raised.value.hint


def test_bytes_that_are_no_text_are_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "slipway.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not valid TOML"):
        config.load(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        config.load(tmp_path)


def test_settings_cannot_be_changed_in_memory(tmp_path: Path) -> None:
    settings = load(tmp_path, "")
    with pytest.raises(ValueError, match="frozen"):
        settings.site.name = "elsewhere"


def test_certificates_are_required_where_an_authority_is_named(tmp_path: Path) -> None:
    authority = "client_ca_file = 'a'\n"
    optional = authority + "client_certificate = 'optional'\n"
    peer = PEER + f"certificate_sha256 = '{':'.join(['AB'] * 32)}'"
    dicom = load(tmp_path, "\n".join((TLS, TLS + authority, TLS + optional, peer))).dicom
    assert [listener.asks for listener in dicom.tls] == ["none", "required", "optional"]
    assert dicom.tls[0].addresses == (("0.0.0.0", 2762),)
    assert dicom.peer[0].certificate_sha256 == "ab" * 32


def test_a_language_without_words_is_an_error_that_names_those_there_are(tmp_path: Path) -> None:
    for text in ('[site]\nlanguage = "nl"', '[[profile]]\nae_title = "SHARE"\nlanguage = "nl"'):
        with pytest.raises(SettingsError, match=r"nl.*write one of ar, bn,.*zh-Hans"):
            load(tmp_path, text)


def test_a_language_may_name_its_country(tmp_path: Path) -> None:
    settings = load(tmp_path, '[site]\nlanguage = "pt-BR"\n[[profile]]\nae_title = "SHARE"\nlanguage = "zh-TW"')
    assert (settings.site.language, settings.profile[0].language) == ("pt-BR", "zh-TW")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("syslog", '"udp://audit.example.org:514"'),
        ("syslog", '"tls://audit.example.org"'),
        ("keep_days", "0"),
        ("codes", '"old"'),
        ("certificate_file", '"box.pem"'),
    ],
)
def test_an_audit_setting_that_cannot_be_is_an_error(key: str, value: str) -> None:
    with pytest.raises(SettingsError, match="audit"):
        config.parse(tomllib.loads(f"[audit]\n{key} = {value}"))


def test_a_repository_is_a_host_and_a_port() -> None:
    assert config.parse({"audit": {"syslog": "tls://audit.example.org:6514"}}).audit.repository == (
        "audit.example.org",
        6514,
    )
    assert config.parse({}).audit.repository is None


def test_a_quota_is_above_zero() -> None:
    with pytest.raises(SettingsError, match="quota_gb"):
        config.parse({"spool": {"quota_gb": 0}})


def test_wristbands_may_hold_more_than_the_patient_id() -> None:
    profile = {"ae_title": "SHARE", "interlock": "wristband", "interlock_pattern": "PID:([0-9]+);.*"}
    assert config.parse({"profile": [profile]}).profile[0].interlock == "wristband"
    for pattern in ("PID:[0-9]+", "(a)(b)", "(["):
        with pytest.raises(SettingsError, match="interlock_pattern"):
            config.parse({"profile": [profile | {"interlock_pattern": pattern}]})


@pytest.mark.parametrize("device", ["/dev/ttyACM0", "serial://ttyACM0", "usb", "hid:"])
def test_a_scanner_is_a_serial_line_or_a_keyboard(device: str) -> None:
    with pytest.raises(SettingsError, match="scanner"):
        config.parse({"scanner": {"device": device}})
    assert config.parse({"scanner": {"device": "serial:///dev/ttyACM0"}}).scanner.device
