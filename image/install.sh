#!/usr/bin/env bash
# Installs the box or the vault into a Debian 12 system: this machine, or the root folder of an image.
#   image/install.sh box                 on this machine, as root; run image/wheels.sh before
#   image/install.sh --root DIR box      into DIR, whose packages are there already
# Settings that are there already are left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

root=""
if [[ "${1:-}" == --root ]]; then
    root=$(realpath "$2")
    shift 2
fi
case "${1:-}" in
    box) name=slipway unit=slipway settings=slipway.toml ;;
    vault) name=slipway-vault unit=slipway-vault settings=vault.toml ;;
    *) echo "usage: image/install.sh [--root DIR] box|vault" >&2 && exit 2 ;;
esac
((EUID == 0)) || { echo "Needs root: it writes to ${root:-}/opt, /usr/lib and /etc." >&2 && exit 1; }
[[ -e build/wheels/requirements.txt && -d build/wheels/own ]] || { echo "No wheels: run image/wheels.sh first." >&2 && exit 1; }

# What runs inside: in the image by chroot, on this machine as it is.
inside() {
    if [[ -n "$root" ]]; then chroot "$root" "$@"; else "$@"; fi
}

if [[ -z "$root" ]]; then
    packages=(python3 python3-systemd libusb-1.0-0 libfribidi0 fonts-dejavu-core fonts-noto-core fonts-noto-cjk ca-certificates)
    missing=()
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    if ((${#missing[@]})); then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
    fi
fi

# The program: a virtual environment of its own, from the wheelhouse alone, each wheel by its hash.
inside /usr/bin/python3 -c 'import sys; assert sys.version_info[:2] == (3, 11), "needs Python 3.11 of Debian 12"'
rm -rf "$root/opt/$name" "$root/opt/.wheels"
cp -r build/wheels "$root/opt/.wheels"
inside /usr/bin/python3 -m venv --without-pip "/opt/$name"
pip() {
    inside env PYTHONPATH=/opt/.wheels PYTHONDONTWRITEBYTECODE=1 "/opt/$name/bin/python" -m pip --isolated install -q \
        --disable-pip-version-check --no-cache-dir --root-user-action=ignore --no-index --no-deps "$@"
}
pip --require-hashes --find-links /opt/.wheels -r /opt/.wheels/requirements.txt
own=("$root"/opt/.wheels/own/*.whl)
pip "/opt/.wheels/own/${own[0]##*/}"
rm -rf "$root/opt/.wheels"
for debian in systemd systemd_python-235.egg-info; do
    ln -s "/usr/lib/python3/dist-packages/$debian" "$root/opt/$name/lib/python3.11/site-packages/$debian"
done

# Its surroundings.
put() { install -D -m "${3:-0644}" "$1" "$root$2"; }
put "systemd/$unit.service" "/usr/lib/systemd/system/$unit.service"
put "systemd/sysusers.d/$unit.conf" "/usr/lib/sysusers.d/$unit.conf"
put "systemd/tmpfiles.d/$unit.conf" "/usr/lib/tmpfiles.d/$unit.conf"
if [[ "$unit" == slipway-vault ]]; then
    if [[ -e viewer/dist/index.html ]]; then
        rm -rf "$root/usr/share/slipway-vault/viewer"
        mkdir -p "$root/usr/share/slipway-vault"
        cp -r --no-preserve=ownership viewer/dist "$root/usr/share/slipway-vault/viewer"
    else
        echo "The patient's page is not built (make setup): / will answer 503 until it is and this runs again." >&2
    fi
fi
if [[ "$unit" == slipway ]]; then
    for one in slipway-retry.service slipway-print.socket slipway-print.service slipway-print-tcp.socket slipway-print-tcp.service; do
        put "systemd/$one" "/usr/lib/systemd/system/$one"
    done
    put systemd/modprobe.d/slipway.conf /usr/lib/modprobe.d/slipway.conf
    put systemd/sysctl.d/60-slipway.conf /usr/lib/sysctl.d/60-slipway.conf
    put udev/60-slipway-printer.rules /usr/lib/udev/rules.d/60-slipway-printer.rules
fi
for page in install hospital-it wire envelope; do
    [[ ! -e "docs/$page.md" ]] || put "docs/$page.md" "/usr/share/doc/slipway/$page.md"
done
systemd-sysusers ${root:+--root="$root"} "$unit.conf" 2> /dev/null
[[ -e "$root/etc/slipway/$settings" ]] || put "systemd/etc/$settings" "/etc/slipway/$settings"
systemd-tmpfiles --create ${root:+--root="$root"} "$unit.conf"
ln -sf "/opt/$name/bin/$name" "$root/usr/local/bin/$name"
inside systemctl enable -q "$unit.service"
[[ "$unit" != slipway ]] || inside systemctl enable -q slipway-print.socket slipway-print-tcp.socket

if [[ -z "$root" && -d /run/systemd/system ]]; then
    systemctl daemon-reload
    if [[ "$unit" == slipway ]]; then
        systemctl restart systemd-sysctl.service
        udevadm control --reload && udevadm trigger --subsystem-match=usb
        ! grep -q '^usblp ' /proc/modules || modprobe -r usblp || true
    fi
    echo "Installed. Next: edit /etc/slipway/$settings, then systemctl start $unit"
else
    echo "Installed $name${root:+ into $root}"
fi
