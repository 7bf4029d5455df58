"""What the machine says of itself, for the slip that stands in for a screen: addresses, host key, clock.

Within the service's sandbox: no netlink, no /proc but its own, no call that could set a clock.
"""

from __future__ import annotations

import base64
import ctypes
import fcntl
import hashlib
import ipaddress
import socket
import struct
from pathlib import Path

HOST_KEY = Path("/etc/ssh/ssh_host_ed25519_key.pub")
TIMESYNC = Path("/run/systemd/timesync")  # of systemd-timesyncd; `synchronized` is there once it has reached a server
INET6_ADDRESSES = Path("/proc/self/net/if_inet6")
SIOCGIFCONF = 0x8912  # linux/sockios.h
IFREQ_BYTES, MOST_INTERFACES = 40, 64
GLOBAL_SCOPE = "00"  # linux/ipv6.h, of the fourth column
TIME_ERROR = 5  # adjtimex(2): the kernel's clock is not synchronised


def addresses() -> list[str]:
    """Under which others reach the box: IPv4 first, without loopback and link-local ones."""
    return [one for one in (*_inet(), *_inet6()) if _useful(one)]


def _useful(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified)


def _inet() -> list[str]:
    buffer = ctypes.create_string_buffer(IFREQ_BYTES * MOST_INTERFACES)
    request = struct.pack("iL", len(buffer), ctypes.addressof(buffer))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            used = struct.unpack("iL", fcntl.ioctl(asker, SIOCGIFCONF, request))[0]
    except OSError:
        return []
    found = (buffer.raw[at : at + IFREQ_BYTES] for at in range(0, used, IFREQ_BYTES))
    return list(dict.fromkeys(socket.inet_ntoa(one[20:24]) for one in found))


def _inet6() -> list[str]:
    try:
        lines = [line.split() for line in INET6_ADDRESSES.read_text("ascii").splitlines()]
    except OSError:
        return []
    return [str(ipaddress.IPv6Address(bytes.fromhex(line[0]))) for line in lines if line[3] == GLOBAL_SCOPE]


def host_key_fingerprint(path: Path = HOST_KEY) -> str:
    """As `ssh` shows it at the first login, "SHA256:…"; "" where there is none to read."""
    try:
        blob = base64.b64decode(path.read_text("ascii").split()[1], validate=True)
    except (OSError, ValueError, IndexError):
        return ""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


def clock_is_synchronised(timesync: Path = TIMESYNC) -> bool | None:
    """None where nobody knows."""
    if timesync.is_dir():
        return (timesync / "synchronized").exists()
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None:
        return None
    state = adjtimex(ctypes.create_string_buffer(512))  # struct timex, modes 0: it only asks
    return None if state < 0 else bool(state != TIME_ERROR)
