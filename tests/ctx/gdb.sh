#!/bin/bash
# Usage: gdb.sh PROGRAM SCRIPT [QEMU]. Exit 77, which CTest shows as skipped, where there is no gdb or it may not trace.
# With QEMU the program is another machine's: it runs there, and gdb-multiarch looks at it from here.
set -u
program=$1 script=$2 qemu=${3:-}
gdb=$([ -n "$qemu" ] && echo gdb-multiarch || echo gdb)
export CTX_WALK=$script CTX_REMOTE=

if ! command -v "$gdb" >/dev/null; then
    echo "skipped: no $gdb here (Debian: $gdb)"
    exit 77
fi
if [ -n "$qemu" ]; then
    dir=$(mktemp -d) || exit 1
    CTX_REMOTE=$dir/socket
    "$qemu" -g "$CTX_REMOTE" "$program" &
    trap 'kill $! 2>/dev/null; rm -rf "$dir"' EXIT
    for _ in $(seq 200); do
        [ -S "$CTX_REMOTE" ] && break
        sleep 0.1
    done
else
    out=$($gdb --nx --batch -ex 'python print(1)' -ex 'break main' -ex run -ex 'print 40 + 2' "$program" 2>&1)
    if ! grep -q '= 42' <<<"$out" || ! grep -q 'Breakpoint 1, ' <<<"$out"; then
        echo "skipped: gdb cannot run a program here:"
        echo "$out"
        exit 77
    fi
fi
out=$($gdb --nx --batch -x "$script" "$program" 2>&1)
status=$?
if [ $status -eq 0 ] && grep -q '^0 failed$' <<<"$out"; then
    grep '^stepped' <<<"$out"
    exit 0
fi
echo "$out"
exit 1
