#!/bin/bash
# Usage: marks.sh LIBRARY ARCH
# What the context switch says to the linker: no executable stack, landing pads but no shadow stack; and how long it is.
set -u
lib=$1
arch=$2
readelf=${READELF:-readelf}
objdump=${OBJDUMP:-objdump}
failed=0

fail()
{
    echo "FAILED: $*"
    failed=1
}

if ! command -v "$readelf" >/dev/null || ! command -v "$objdump" >/dev/null; then
    echo "skipped: no $readelf or $objdump (Debian: binutils)"
    exit 77
fi

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
object=switch_$arch.S.o
(cd "$dir" && ar x "$lib" "$object") || exit 1
object=$dir/$object

stack=$("$readelf" -SW "$object" | grep -F .note.GNU-stack)
[ -n "$stack" ] || fail "no .note.GNU-stack: the linker would make stacks executable"
grep -q ' X ' <<<"$stack" && fail "asks for an executable stack: $stack"

notes=$("$readelf" -nW "$object")
case $arch in
    x86_64) pads=IBT most=25 ;;
    *) pads=BTI most=40 ;;
esac
grep -q "$pads" <<<"$notes" || fail "does not claim $pads: $notes"
grep -q SHSTK <<<"$notes" && fail "claims shadow stacks, which a switch breaks"

for name in lea_ctx_switch lea_ctx_start lea_ctx_resume; do
    "$readelf" -sW "$object" | grep -Eq "HIDDEN .* $name\$" || fail "$name is not hidden"
done

# objdump prints "address:<tab>bytes<tab>instruction"; the way that most switches take ends with the first return
count=$("$objdump" -d --no-show-raw-insn "$object" |
    awk -F'\t' '/<lea_ctx_switch>:/ { on = 1 } on && NF >= 2 { n++; if ($2 ~ /^ret/) { print n; exit } }')
echo "$count instructions"
[ "${count:-999}" -le "$most" ] || fail "more than $most instructions"
exit $failed
