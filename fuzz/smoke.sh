#!/usr/bin/env bash
# A short run of every fuzz target: fuzz/smoke.sh [SECONDS], all targets together; 60 without one.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-60}
# The flags of the fuzzer are unstable ones; this lets the stable compiler take them.
export RUSTC_BOOTSTRAP=1
# A short run wants to be built soon; a long one, by `cargo fuzz run`, wants to run fast.
export CARGO_PROFILE_RELEASE_OPT_LEVEL="${CARGO_PROFILE_RELEASE_OPT_LEVEL:-1}"
# The fuzzer asks for lines of code in its builds whatever a profile says; what is last among the flags holds.
export RUSTFLAGS="${RUSTFLAGS:-} -Cdebuginfo=0"

# What is fuzzed holds no unsafe code: the address sanitizer would only cost time. All targets are built at once, so
# that no core waits for the linking of one.
cargo fuzz build --sanitizer none
built=target/$(rustc -vV | sed -n 's/^host: //p')/release

list=$(cargo fuzz list)
mapfile -t targets <<<"$list"
each=$((seconds / ${#targets[@]}))
for target in "${targets[@]}"; do
    mkdir -p "artifacts/$target" "corpus/$target" "seeds/$target"
    echo "--- $target"
    "$built/$target" "corpus/$target" "seeds/$target" -artifact_prefix="artifacts/$target/" \
        -max_total_time="$((each > 0 ? each : 1))" -max_len=4096 -timeout=5 -print_final_stats=1
done
