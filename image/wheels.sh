#!/usr/bin/env bash
# Fetches every wheel of requirements.txt, by hash, and builds Slipway's own, into build/wheels/. Needs no root.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
wheels=build/wheels
mkdir -p "$wheels"

# systemd-python has no wheel, and the box no compiler: Debian's python3-systemd stands in for it (install.sh).
awk '/^[^ #]/ { skip = /^systemd-python==/ } !skip' requirements.txt > "$wheels/requirements.txt"

# Debian 12's Python, whatever this machine's is.
stamp=$(sha256sum < "$wheels/requirements.txt")
if [[ "$stamp" != "$(cat "$wheels/.stamp" 2> /dev/null)" ]]; then
    rm -f "$wheels"/*.whl
    "$python" -m pip download -qq --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
        --implementation cp --python-version 3.11 --abi cp311 --abi abi3 --abi none \
        --platform manylinux_2_34_x86_64 --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
        --platform manylinux2014_x86_64 -d "$wheels" -r "$wheels/requirements.txt"
    echo "$stamp" > "$wheels/.stamp"
fi

# From a copy of what git knows or would take, so that nothing left over in the checkout gets into the wheel.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard pyproject.toml README.md appliance vault |
    while IFS= read -r -d '' file; do [[ ! -e "$file" ]] || printf '%s\0' "$file"; done |
    tar -c --null --files-from=- | tar -x -C "$copy"
[[ -e "$copy/README.md" ]] || echo "# Slipway" > "$copy/README.md"
rm -rf "$wheels/own"
"$python" -m pip wheel -qq --disable-pip-version-check --no-deps --no-build-isolation -w "$wheels/own" "$copy"

# pip itself, for install.sh: the box has none.
rm -rf "$wheels/pip"
cp -r "$("$python" -c 'import pathlib, pip; print(pathlib.Path(pip.__file__).parent)')" "$wheels/pip"
echo "Wheels: $(find "$wheels" -name '*.whl' | wc -l) in $wheels, $(du -sm --exclude=pip "$wheels" | cut -f1) MB"
