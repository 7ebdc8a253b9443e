#!/usr/bin/env bash
# Finds the program, or builds it from the source that the action came with: the same version, and nothing fetched from
# elsewhere but its locked dependencies.
set -euo pipefail

binary=${GATE_BINARY:-}
if [ -z "$binary" ]; then
  binary=$(command -v gauntlet || true)
fi
if [ -z "$binary" ]; then
  source=$(cd "$GITHUB_ACTION_PATH/../../.." && pwd)
  cargo build --release --locked --package gauntlet --manifest-path "$source/Cargo.toml" --target-dir "$RUNNER_TEMP/gauntlet"
  binary=$RUNNER_TEMP/gauntlet/release/gauntlet
fi
"$binary" --version
echo "binary=$binary" >> "$GITHUB_OUTPUT"
