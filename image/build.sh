#!/usr/bin/env bash
# Builds the box's system: build/image/root (a folder) and build/image/slipway.img (a disk for UEFI machines).
#   image/build.sh [root]      `root` stops after the folder
#   AUTHORIZED_KEYS=FILE       who may log in by ssh as root; nobody without it
# As root on Debian 12, x86-64. Packages come from this machine's own apt sources, wheels from its own pip settings.
set -euo pipefail
cd "$(dirname "$0")/.."
((EUID == 0)) || { echo "Needs root, for the owners of the files in the image." >&2 && exit 1; }
umask 022
started=$SECONDS
out=build/image
root=$out/root
say() { printf '%4d s  %s\n' $((SECONDS - started)) "$*"; }

need() { command -v "$1" > /dev/null || missing+=("$2"); }
missing=()
need mmdebstrap mmdebstrap
need mcopy mtools
need mkfs.vfat dosfstools
need sfdisk fdisk
need mke2fs e2fsprogs
if ((${#missing[@]})); then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
fi

# 1. Debian, kept until its list of packages changes, or for REFRESH=1.
packages=$(grep -v '^#' image/packages.txt | paste -sd,)
base=$out/base-$(sha256sum < image/packages.txt | cut -c1-12).tar
mkdir -p "$out"
if [[ ! -e "$base" || -n "${REFRESH:-}" ]]; then
    rm -f "$out"/base-*.tar
    sources=()
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        # Debian 12 only: a machine's other repositories have no place in the image.
        ! grep -qs bookworm "$file" || sources+=("$file")
    done
    ((${#sources[@]})) || { echo "This machine's apt sources name no bookworm." >&2 && exit 1; }
    mmdebstrap --quiet --variant=minbase --format=tar --include="$packages" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        bookworm "$base.part" "${sources[@]}"
    mv "$base.part" "$base"
fi
say "Debian: $(du -m "$base" | cut -f1) MB"

# 2. The folder.
image/wheels.sh
rm -rf "$root"
mkdir -p "$root"
tar -x -C "$root" --numeric-owner -f "$base"
cp -r --no-preserve=ownership image/root/. "$root"
image/install.sh --root "$root" box

# What must differ from box to box is made at the first start; where this was built is nobody's business.
rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/* "$root"/var/lib/dbus/machine-id
rm -f "$root"/etc/resolv.conf "$root"/etc/nftables.d/.keep
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*.log "$root"/var/log/apt
echo uninitialized > "$root/etc/machine-id"
ln -s ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 slipway\n' > "$root/etc/hosts"
chroot "$root" systemctl enable -q systemd-networkd systemd-resolved systemd-timesyncd nftables ssh ssh-host-keys
chroot "$root" systemctl mask -q ctrl-alt-del.target getty@tty1.service serial-getty@ttyS0.service
chroot "$root" passwd -q -l root
if [[ -n "${AUTHORIZED_KEYS:-}" ]]; then
    install -D -m 0600 "$AUTHORIZED_KEYS" "$root/root/.ssh/authorized_keys"
    chmod 0700 "$root/root/.ssh"
fi
say "Folder: $(du -sm "$root" | cut -f1) MB in $root"
[[ "${1:-}" != root ]] || exit 0

# 3. The disk: an EFI system partition with systemd-boot, and the root. No loop device, no mount.
kernel=$(basename "$root"/boot/vmlinuz-*)
version=${kernel#vmlinuz-}
esp=$out/esp.part
rm -f "$esp" "$out/root.part" "$out/slipway.img"
truncate -s 128M "$esp"
mkfs.vfat -n SLIPWAY "$esp" > /dev/null
mmd -i "$esp" ::/EFI ::/EFI/BOOT ::/loader ::/loader/entries ::/slipway
mcopy -i "$esp" "$root/usr/lib/systemd/boot/efi/systemd-bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
mcopy -i "$esp" "$root/boot/vmlinuz-$version" ::/slipway/linux
mcopy -i "$esp" "$root/boot/initrd.img-$version" ::/slipway/initrd
# No editor: whoever stands before the box must not add init=/bin/sh to the line.
printf 'timeout 0\neditor no\n' | mcopy -i "$esp" - ::/loader/loader.conf
printf '%s\n' "title Slipway" "linux /slipway/linux" "initrd /slipway/initrd" \
    "options root=PARTLABEL=slipway-root rw console=tty0 console=ttyS0,115200 panic=10 quiet" |
    mcopy -i "$esp" - ::/loader/entries/slipway.conf
rm -rf "${out:?}/boot"
mv "$root/boot" "$out/boot"   # lies in the EFI system partition already
mkdir "$root/boot"
size=$(($(du -sm "$root" | cut -f1) * 5 / 4 + 128))
truncate -s "${size}M" "$out/root.part"
mke2fs -q -t ext4 -L slipway-root -d "$root" "$out/root.part"
rm -rf "${root:?}/boot"
mv "$out/boot" "$root/boot"

truncate -s "$((size + 128 + 2))M" "$out/slipway.img"
sfdisk -q "$out/slipway.img" << TABLE
label: gpt
start=1MiB, size=128MiB, type=uefi, name=slipway-esp
size=${size}MiB, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, name=slipway-root
TABLE
dd if="$esp" of="$out/slipway.img" bs=1M seek=1 conv=notrunc,sparse status=none
dd if="$out/root.part" of="$out/slipway.img" bs=1M seek=129 conv=notrunc,sparse status=none
rm -f "$esp" "$out/root.part"
say "Disk: $(du -m "$out/slipway.img" | cut -f1) MB on the disk, $((size + 130)) MB long, $out/slipway.img"
