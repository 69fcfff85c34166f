#!/bin/sh
# Rebuild the init from its source: sh build.sh [OUTPUT] (default: the committed binary beside this script).
# The bytes are those of the compiler and linker named in `toolchain`; others give an equivalent program.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/evalctl-init}
cd "$here"
gcc -std=c11 -Os -Wall -Wextra -Werror -ffreestanding -nostdlib -nostartfiles -static -no-pie -fno-pie \
    -fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-ident -fcf-protection=none \
    -fno-tree-loop-distribute-patterns -mno-red-zone -mgeneral-regs-only \
    -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,norelro -Wl,-z,noseparate-code -Wl,--gc-sections -s \
    -o "$output" init.c probe.c
chmod 755 "$output"
