#!/bin/sh
# Makes or updates .venv from a lock file: tools/setup.sh base|dev. Run by make, from the project's root.
#
# With uv where that is installed, else with `python -m venv` and pip. pip also does it where pip is pointed at an index
# of its own and uv is not: the packages come from where this machine wants them. `make install UV=no` asks for pip.
set -eu

kind=$1
if [ "$kind" = torch ]; then # beside the locks: which build of torch it is depends on where pip looks
    echo "Adding PyTorch for the tests of conversion (a minute, 900 MB on a CPU) ..." >&2
    [ -x .venv/bin/pip ] || .venv/bin/python -m ensurepip --default-pip >/dev/null
    PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install -qq --no-input --requirement requirements/torch.txt
    : >.venv/.torch
    exit 0
fi
[ ! -e .venv/.dev ] || kind=dev # an update of the base must not drop the developer's tools
lock=requirements/$kind.lock
case $kind in
    base) size="a minute or two, 700 MB" ;;
    dev) size="a minute or two, 800 MB" ;;
    *) echo "tools/setup.sh base|dev, not $kind" >&2 && exit 2 ;;
esac
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'

say() { printf '%s\n' "$*" >&2; }

uv_is_wanted() {
    [ "${UV:-}" != no ] && command -v uv >/dev/null 2>&1 || return 1
    [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}${UV_INDEX:-}" ] || return 0
    ! { python3 -m pip config list 2>/dev/null || true; } | grep -q '[.]index-url='
}

# A name on the PATH is not yet an interpreter (pyenv puts up shims for versions it will not run), so each is tried.
find_python() {
    for name in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        "$name" -c "$new_enough" >/dev/null 2>&1 || continue
        "$name" -c "$1" >/dev/null 2>&1 || { without_venv=$name && continue; }
        python=$name
        return 0
    done
    return 1
}

make_venv() {
    python='' without_venv=''
    if uv_is_wanted; then
        find_python pass || python=3.13 # uv fetches one
        uv venv --quiet --python "$python" .venv
    elif find_python 'import ensurepip, venv'; then
        "$python" -m venv .venv
    elif [ -n "$without_venv" ]; then
        say "Error: $without_venv cannot make virtual environments; on Debian and Ubuntu 'apt install python3-venv' adds that."
        exit 1
    else
        say "Error: Hearthwatch needs Python 3.11 or newer; none of ${PYTHON:-python3.13, python3.12, python3.11, python3}" \
            "is that. Install one, or name it: make install PYTHON=/path/to/python"
        exit 1
    fi
}

# The project goes in last and with what is locked: nothing unpinned is fetched, nothing is built from source but itself.
install_with_uv() {
    uv pip sync --quiet --python .venv/bin/python --require-hashes --no-build "$lock"
    uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
}

install_with_pip() {
    [ -x .venv/bin/pip ] || .venv/bin/python -m ensurepip --default-pip >/dev/null
    pip="env PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install -qq --no-input --no-deps"
    $pip --require-hashes --only-binary=:all: --requirement "$lock"
    $pip --no-build-isolation --editable .
}

# An environment that a set-up left half-way, that was copied from elsewhere or whose Python is gone is made afresh.
if [ -e .venv/.unfinished ] || [ "$(cat .venv/.home 2>/dev/null || pwd -P)" != "$(pwd -P)" ] ||
    ! .venv/bin/python -c "$new_enough" 2>/dev/null; then
    say "Setting up .venv ($size) ..."
    rm -rf .venv
    make_venv
else
    say "Updating .venv from $lock ..."
fi
: >.venv/.unfinished
rm -f .venv/.base .venv/.dev .venv/.torch
if uv_is_wanted; then install_with_uv; else install_with_pip; fi
pwd -P >.venv/.home
[ "$kind" = base ] || : >.venv/.dev
: >.venv/.base
rm .venv/.unfinished
