#!/usr/bin/env bash
# Launch a real evaluation, show, verify and report its bundle, and reproduce it; every command is printed before it runs.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"

run() {
    printf '\n$ evalctl %s\n' "$*"
    evalctl "$@"
}

mkdir -p build
run launch blueprints/digits-svm/blueprint.toml | tee build/demo-launch.txt
bundle=$(tail -n 1 build/demo-launch.txt) # the path of the bundle is the last line that `launch` prints
run show "$bundle"
run verify "$bundle"
run report "$bundle" --out build/demo-report.html
run reproduce "$bundle"
