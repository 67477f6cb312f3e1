#!/bin/sh
# Resolves requirements/*.lock from pyproject.toml; run by `make lock`, from the project's root.
#
# Pins stay as they are while they fit; `make lock UPGRADE=1` takes the newest of everything. One version of a package
# serves every Python (fewest forks), so that what is tested on one is what runs on the next. uv does the resolving; where
# it is not installed, it is fetched for this one time.
set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if ! command -v uv >/dev/null 2>&1; then
    "${PYTHON:-python3}" -m venv "$scratch"
    "$scratch/bin/python" -m pip install -qq --no-input uv
    PATH=$scratch/bin:$PATH
fi

resolve() {
    uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --no-build --generate-hashes \
        --no-annotate --no-emit-index-url --custom-compile-command 'make lock' ${UPGRADE:+--upgrade} "$@"
}

resolve pyproject.toml requirements/build.in --output-file requirements/base.lock
resolve pyproject.toml requirements/build.in --group dev --constraints requirements/base.lock \
    --output-file requirements/dev.lock
