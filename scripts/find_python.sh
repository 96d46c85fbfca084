#!/bin/sh
# Print the path of a Python that can run the package: 3.12 to 3.14, with venv and pip.
#
# A name on PATH proves nothing (a pyenv shim exists for versions that are not selected, and
# Debian ships Python without ensurepip), so every candidate is run before it is believed.
# PYTHON=/some/python overrules the search.

set -u

check='
import sys, sysconfig
import ensurepip, venv
usable = (3, 12) <= sys.version_info < (3, 15) and not sysconfig.get_config_var("Py_GIL_DISABLED")
print(sys.executable if usable else "")
'

# Print the real path of a usable interpreter, or nothing.
usable() {
    "$1" -c "$check" </dev/null 2>/dev/null
}

# One line for the error message: what a candidate says about itself.
describe() {
    version=$("$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' </dev/null 2>/dev/null) || version=
    if [ -n "$version" ]; then
        "$1" -c 'import ensurepip, venv' </dev/null 2>/dev/null || version="$version, without venv or ensurepip"
        echo "  $1: $version"
    else
        echo "  $1: does not run"
    fi
}

# Every interpreter worth a try, the best tested version first.
candidates() {
    for version in 3.13 3.12 3.14; do
        command -v "python$version"
    done
    command -v python3
    command -v python
    for root in "$(pyenv root 2>/dev/null)" "${PYENV_ROOT:-}" "${HOME:-}/.pyenv"; do
        [ -d "$root/versions" ] || continue
        for version in 3.13 3.12 3.14; do
            for python in "$root/versions/$version"*/bin/python; do
                [ -x "$python" ] && echo "$python"
            done
        done
    done
}

if [ -n "${PYTHON:-}" ]; then
    found=$(usable "$PYTHON")
    if [ -z "$found" ]; then
        {
            echo "PYTHON=$PYTHON cannot be used: Python 3.12, 3.13 or 3.14 with venv is needed."
            describe "$PYTHON"
        } >&2
        exit 1
    fi
    echo "$found"
    exit 0
fi

found=$(
    candidates | while IFS= read -r python; do
        path=$(usable "$python")
        if [ -n "$path" ]; then
            echo "$path"
            break
        fi
    done
)

if [ -z "$found" ]; then
    {
        echo "No usable Python was found: Python 3.12, 3.13 or 3.14 with venv is needed. Tried:"
        candidates | while IFS= read -r python; do describe "$python"; done
        echo "Install one (for example: pyenv install 3.13, or apt install python3.13-venv),"
        echo "or name it: make PYTHON=/path/to/python3.13 demo"
    } >&2
    exit 1
fi
echo "$found"
