#!/usr/bin/env bash
# Checks units, sysusers, tmpfiles, sysctl, udev rules and the bill of materials without a running systemd and without root. One line a unit.
set -euo pipefail
cd "$(dirname "$0")/.."

# What `systemd-analyze security` of systemd 252 says today, in tenths: whoever loosens a unit has to say so here.
declare -A most=([slipway]=11 [slipway-print]=4 [slipway-print-tcp]=10 [slipway-vault]=9 [slipway-retry]=7)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
fail() {
    echo "FAILED $1" >&2
    failed=1
}

# The programs do not exist on a build machine, so the copies start /bin/true; nothing else is changed.
mkdir "$work/units"
for unit in systemd/*.service systemd/*.socket; do
    sed -E 's#^(Exec[A-Za-z]+=)/opt/.*#\1/bin/true#' "$unit" > "$work/units/${unit##*/}"
done

for unit in systemd/*.service; do
    name=$(basename "$unit" .service)
    # Unknown keys are only printed, the exit status stays 0.
    (cd "$work/units" && systemd-analyze verify --man=no "./$name.service") > "$work/verify" 2>&1 || fail "$unit: verify"
    if [[ -s "$work/verify" ]]; then
        cat "$work/verify" >&2
        fail "$unit: verify is not silent"
    fi
    # A unit of ours that is named in another must be there: verify does not look at OnFailure= and PartOf=.
    for other in $(grep -v '^#' "$unit" | grep -oE 'slipway[a-z-]*\.(service|socket|timer)'); do
        [[ -e "systemd/$other" ]] || fail "$unit: there is no $other"
    done
    if [[ -z "${most[$name]:-}" ]]; then
        fail "$unit: no threshold for it in $0"
        continue
    fi
    systemd-analyze security --no-pager --offline=true --threshold="${most[$name]}" "$work/units/$name.service" \
        > "$work/security" 2>&1 || fail "$unit: exposure is above ${most[$name]} tenths"
    awk -v unit="$unit" -v most="${most[$name]}" \
        '/Overall exposure level/ { sub(/.*: /, ""); printf "%-34s verified, exposure %s (at most %.1f)\n", unit, $1, most / 10 }' \
        "$work/security"
done

for unit in systemd/*.socket; do
    (cd "$work/units" && systemd-analyze verify --man=no "./${unit##*/}") > "$work/verify" 2>&1 || fail "$unit: verify"
    if [[ -s "$work/verify" ]]; then
        cat "$work/verify" >&2
        fail "$unit: verify is not silent"
    fi
done

# Users and folders, made for real under a root folder of its own. Without root, owners cannot be set: syntax only.
mkdir -p "$work/root/etc"
systemd-sysusers --root="$work/root" "$PWD"/systemd/sysusers.d/*.conf > "$work/errors" 2>&1 ||
    fail "sysusers.d: $(cat "$work/errors")"
for users in systemd/sysusers.d/*.conf; do
    grep -q "^$(basename "$users" .conf):" "$work/root/etc/passwd" || fail "$users: no user of its name"
done
for paths in systemd/tmpfiles.d/*.conf; do
    systemd-tmpfiles --create --root="$work/root" "$PWD/$paths" > "$work/errors" 2>&1 || ((EUID)) || fail "$paths"
    grep -E "^$PWD/$paths:[0-9]+:" "$work/errors" >&2 && fail "$paths"
done

for settings in systemd/sysctl.d/*.conf; do
    grep -Ev '^(#.*|[a-z0-9_./]+ = .+|)$' "$settings" >&2 && fail "$settings: not KEY = VALUE"
done

# udevadm prints what it dislikes while it reads the rules. In a mount namespace of its own, so nothing here changes.
rules_read() {
    unshare "$@" sh -ec '
        mount -t tmpfs none /run
        mkdir -p /run/udev/rules.d
        cp udev/*.rules /run/udev/rules.d/
        udevadm test /sys/devices/virtual/net/lo 2>&1'
}
if rules_read --map-root-user --mount > "$work/udev" 2> /dev/null || rules_read --mount > "$work/udev" 2> /dev/null; then
    for rules in udev/*.rules; do
        grep -q "Reading rules file: /run/udev/rules.d/${rules##*/}" "$work/udev" || fail "$rules: udev did not read it"
        # The group is made by sysusers on the box, not on a build machine.
        if grep "/${rules##*/}:[0-9]" "$work/udev" | grep -v "Unknown group 'slipway-print'" >&2; then
            fail "$rules: udev complains"
        else
            printf '%-34s read by udev without a complaint\n' "$rules"
        fi
    done
else
    echo "udev rules: not checked, as this machine allows no mount namespace" >&2
fi

python3 hardware/tables.py --check || fail "hardware/: the table and bom.json"

exit "$failed"
