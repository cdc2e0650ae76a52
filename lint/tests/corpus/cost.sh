#!/usr/bin/env bash
# What the lint costs: processor time per 100,000 lines by syntax, what the compiler's engine adds to a warm `cargo clippy`, memory.
#
#     lint/tests/corpus/cost.sh syntax                every crate of crates.tsv, three times
#     lint/tests/corpus/cost.sh compiler CRATE [N]    one of them: N rounds (5) of `cargo clippy` and of the lint, in turn
#
# Sources are taken from cargo's registry cache, as by the example `corpus`; only their dependencies may be fetched. Build the program
# first: `cargo build --release -p asupersync-lint`. Seconds are those of the processor, user and system, of a command and all it starts:
# what else runs on the machine moves them little. Between rounds a comment is appended to a source, so that the crate is checked anew
# and its dependencies are not.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
lint=${LINT:-$here/../../../target/release/cargo-asupersync-lint}
lint=$(realpath "$lint")
registry=(${CARGO_HOME:-$HOME/.cargo}/registry/src/*)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset CARGO_TARGET_DIR

unpack() {
    local from
    for from in "${registry[@]}"; do
        if [ -d "$from/$1" ]; then
            cp -r "$from/$1" "$work/"
            # It would ask for another compiler.
            rm -f "$work/$1"/rust-toolchain*
            return
        fi
    done
    echo "$1: not in the registry cache" >&2
    return 1
}

lines() { find "$1" -name '*.rs' -exec cat {} + | wc -l; }

# Processor seconds of a command, in the variable `seconds`; its output goes to a log.
seconds=
timed() {
    local TIMEFORMAT='%U %S' told
    told=$({ time "$@" >"$work/log" 2>&1 || true; } 2>&1)
    seconds=$(awk '{ print $1 + $2 }' <<<"$told")
}

syntax() {
    local crate total=0 count round
    local crates=()
    while read -r crate; do
        if unpack "$crate" 2>/dev/null; then crates+=("$crate"); fi
    done < <(grep -v '^#' "$here/crates.tsv")
    for crate in "${crates[@]}"; do
        count=$(lines "$work/$crate")
        total=$((total + count))
    done
    all() {
        for crate in "${crates[@]}"; do (cd "$work/$crate" && "$1" "${@:2}"); done
    }
    lint_one() { "$lint" --engine syn --exit-zero --statistics; }
    metadata() { cargo metadata --no-deps --format-version 1; }
    echo "${#crates[@]} crates, $total lines"
    for round in 1 2 3; do
        timed all lint_one
        local whole=$seconds
        timed all metadata
        awk -v w="$whole" -v c="$seconds" -v n="$total" 'BEGIN {
            printf "%.2f s per 100,000 lines, of which `cargo metadata` %.2f s\n", w / n * 1e5, c / n * 1e5
        }'
    done
}

compiler() {
    local crate=$1 rounds=${2:-5} round
    unpack "$crate"
    cd "$work/$crate"
    printf '\n[workspace]\n' >>Cargo.toml
    local root
    root=$(find src -name lib.rs -o -name main.rs | head -1)
    # The lock file of a release names versions that may not be there.
    rm -f Cargo.lock
    cargo fetch --quiet
    clippy() { cargo clippy --offline --all-targets --keep-going; }
    lint_it() { "$lint" --offline --exit-zero --statistics; }
    echo "$crate: $(lines .) lines"
    timed clippy
    echo "first cargo clippy: $seconds s"
    timed lint_it
    echo "first lint: $seconds s"
    tail -3 "$work/log"
    local first=0 second=0
    for round in $(seq "$rounds"); do
        echo "// round $round" >>"$root"
        timed clippy
        first=$seconds
        timed lint_it
        second=$seconds
        awk -v a="$first" -v b="$second" 'BEGIN { printf "checked anew: cargo clippy %.2f s, lint %.2f s: %+.0f %%\n", a, b, (b - a) / a * 100 }'
    done
    for round in 1 2; do
        timed clippy
        first=$seconds
        timed lint_it
        awk -v a="$first" -v b="$seconds" 'BEGIN { printf "nothing changed: cargo clippy %.2f s, lint %.2f s\n", a, b }'
    done
    echo "// for memory" >>"$root"
    lint_it >"$work/log" 2>&1 &
    local pid=$! own=0 rustc=0 seen
    peak() { awk '/^VmHWM/ { print $2 }' "/proc/$1/status" 2>/dev/null || true; }
    while kill -0 "$pid" 2>/dev/null; do
        # The subshell becomes the program only where bash replaces itself: its child is asked too.
        for seen in $(peak "$pid") $(for child in $(pgrep -P "$pid" -f "$lint" || true); do peak "$child"; done); do
            [ "$seen" -le "$own" ] || own=$seen
        done
        for child in $(pgrep -x clippy-driver || true); do
            seen=$(peak "$child")
            [ "${seen:-0}" -le "$rustc" ] || rustc=$seen
        done
        sleep 0.02
    done
    awk -v o="$own" -v r="$rustc" 'BEGIN { printf "memory: the lint %.0f MB, rustc %.0f MB\n", o / 1024, r / 1024 }'
}

case "${1:-}" in
syntax) syntax ;;
compiler) compiler "${@:2}" ;;
*) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
