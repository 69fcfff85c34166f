#!/bin/sh
# Print the Python >= 3.11 that set-up uses: $PYTHON, else the system's own, else the newest that is known to work.
set -u

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

candidates=${PYTHON:-python3 python3.13 python3.12 python3.11}
for candidate in $candidates; do
    if is_new_enough "$candidate"; then
        command -v "$candidate"
        exit 0
    fi
done

echo "error: no Python >= 3.11 found (tried $candidates)" >&2
echo "Type:" >&2
echo "    sudo apt-get install -y python3 python3-venv    # Debian 12 and later" >&2
echo "    make PYTHON=/path/to/python3.11                 # if it is elsewhere" >&2
exit 1
