#!/usr/bin/env bash
# Boots build/image/slipway.img as a machine with UEFI, NVMe and an Intel network card would, in QEMU without
# acceleration, and checks what boot_probe.sh finds inside. The image itself is not changed.
#   ACTIVE=no     the service need not be active (while the program is not complete)
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/image
if ! command -v qemu-system-x86_64 > /dev/null || [[ ! -e /usr/share/OVMF/OVMF_CODE.fd ]]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-system-x86 ovmf > /dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
started=$SECONDS

# A copy on a larger disk, so that the root partition has somewhere to grow.
cp --sparse=always "$out/slipway.img" "$work/disk.img"
truncate -s 4G "$work/disk.img"
cat > "$work/boot-probe.service" << 'UNIT'
[Unit]
DefaultDependencies=no
After=multi-user.target
[Service]
Type=exec
ExecStart=/bin/sh /usr/local/lib/boot-probe
StandardOutput=file:/dev/ttyS0
StandardError=file:/dev/ttyS0
UNIT
cat > "$work/print.py" << 'PYTHON'
import asyncio
from pathlib import Path

from appliance.adapters.printers import open_apart
from appliance.formats import printer_profiles
from appliance.ports import PrintJob

printer = open_apart("usb", printer_profiles.find("generic-80-mute"), Path("/run/slipway-print"))
print(asyncio.run(printer.print(PrintJob("K1", b"paper", b"", b"0001"))))
PYTHON
start=$(sfdisk -d "$out/slipway.img" | awk '/slipway-root/ { sub(/,/, "", $4); print $4 }')
debugfs -w -f - "$work/disk.img?offset=$((start * 512))" > "$work/debugfs" 2>&1 << COMMANDS
write image/boot_probe.sh /usr/local/lib/boot-probe
write $work/print.py /usr/local/lib/print
write $work/boot-probe.service /etc/systemd/system/boot-probe.service
symlink /etc/systemd/system/multi-user.target.wants/boot-probe.service ../boot-probe.service
COMMANDS
cp /usr/share/OVMF/OVMF_VARS.fd "$work/vars.fd"

nice -n 10 timeout "${LIMIT_S:-300}" qemu-system-x86_64 -accel tcg -machine q35 -cpu max -m 2048 -display none -no-reboot \
    -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd \
    -drive if=pflash,format=raw,file="$work/vars.fd" \
    -drive if=none,id=disk,format=raw,file="$work/disk.img" -device nvme,drive=disk,serial=1 \
    -netdev user,id=lan,restrict=on -device e1000e,netdev=lan \
    -serial stdio < /dev/null 2>&1 | tr -d '\r' > "$out/boot.log" || true

failed=0
want() {
    local found
    found=$(sed -n "s/^FACT $1=//p" "$out/boot.log" | head -1)
    if [[ "$found" =~ ^($2)$ ]]; then
        printf 'ok      %-16s %s\n' "$1" "$found"
    else
        printf 'FAILED  %-16s %s (wanted %s)\n' "$1" "${found:-nothing}" "$2"
        failed=1
    fi
}
want end 1
want boot '.*s'
want unit loaded,enabled
if [[ "${ACTIVE:-yes}" == yes ]]; then
    want system running
    want active active
    want restarts 0
    want user slipway
    want listening '.*0\.0\.0\.0:104.*'
fi
want listening '.*:22.*'
want first_port 104
want firewall 1
want password_login no
want host_keys 1
want root_mb '3[0-9]{3}'
want address '10\.0\.2\..*'
want printer root:slipway-print:660
want printer_unit active
want printer_driver free
want printed paper
want usblp refused
want forbidden ''
grep -a '^FACT failed=\|^JOURNAL\|^PRINT' "$out/boot.log" || true
echo "Booted, looked at and powered off in $((SECONDS - started)) s; the serial console is in $out/boot.log"
exit "$failed"
