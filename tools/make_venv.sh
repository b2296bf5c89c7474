#!/usr/bin/env bash
# Make the virtual environment of development: make_venv.sh PYTHON FOLDER
# The package is installed into it as it stands, with what tests and checks need.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1
venv=$2

say() { printf 'venv: %s\n' "$*"; }
die() { printf 'venv: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else return 1; fi
}

apt_install() {
    command -v apt-get >/dev/null || return 1
    say "installing $* with apt-get"
    as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

command -v "$python" >/dev/null || die "there is no $python; say which Python with: make venv PYTHON=python3.12"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "Python 3.11 or later is needed, $python is $("$python" -V 2>&1); say another with: make venv PYTHON=python3.12"

# Debian keeps ensurepip and Python.h in packages of their own.
"$python" -c 'import ensurepip' 2>/dev/null || apt_install python3-venv ||
    die "$python has no ensurepip, so it makes no virtual environments; on Debian: apt-get install python3-venv"
"$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
    apt_install python3-dev || say "there is no Python.h, so the native twins cannot be built; on Debian: apt-get install python3-dev"

say "making $venv with $("$python" -V)"
"$python" -m venv --clear "$venv"
say "installing the package with what tests and checks need (a minute or two)"
# The build requirements are installed too, for `make native`.
requires=$("$venv/bin/python" -c 'import tomllib; print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"]))')
printf '%s\n' "$requires" | "$venv/bin/python" -m pip install -qq --disable-pip-version-check --requirement /dev/stdin
# The twins are built once, here and not by pip, which would throw away what `make native` builds on.
ELIO_BUILD_NATIVE=0 "$venv/bin/python" -m pip install -qq --disable-pip-version-check --editable '.[test,check,uvloop]'
say "building the compiled twins (two or three minutes)"
"$venv/bin/python" setup.py --quiet build_ext --inplace
say "ready"
