#!/usr/bin/env bash
# Runs the suite, then the gate. Ends with 0 whatever the verdict is, so that the comment and the report come after it;
# the last step of the action ends with the gate's own code: 0 pass, 1 fail, 2 error, 3 inconclusive.
set -uo pipefail

folder=$(mktemp -d "${RUNNER_TEMP:-/tmp}/gauntlet-gate.XXXXXX")
junit=$folder/gauntlet-gate.xml
markdown=$folder/gauntlet-gate.md

run=(eval run "$GATE_SUITE" --yes)
gate=(gate "$GATE_SUITE" --junit "$junit" --markdown "$markdown")
[ -n "${GATE_CANDIDATE:-}" ] && run+=(--candidate "$GATE_CANDIDATE")
[ "${GATE_FAST:-true}" = true ] && run+=(--fast)
[ "${GATE_ALLOW_INCONCLUSIVE:-false}" = true ] && gate+=(--allow-inconclusive)
if [ -n "${GATE_BASELINE:-}" ]; then
  # A version or model that has no run yet is run first.
  run+=(--baseline "$GATE_BASELINE")
  gate+=(--baseline "$GATE_BASELINE")
fi

"$GATE_BINARY" "${run[@]}" 2> >(tee "$folder/said" >&2)
code=$?
# 1 is a run that was stopped before its end, 3 one whose verdict is open: the gate says what that means.
if [ "$code" -le 1 ] || [ "$code" -eq 3 ]; then
  "$GATE_BINARY" "${gate[@]}" 2> >(tee "$folder/said" >&2)
  code=$?
fi
wait

case $code in
  0 | 1 | 3) ;;
  *) code=2 ;;
esac
verdict=error
if [ "$code" -ne 2 ]; then
  # --allow-inconclusive ends with 0 as a pass does; the report says which it was.
  verdict=$(sed -n 's/.*<property name="verdict" value="\([a-z]*\)"\/>.*/\1/p' "$junit" | head -n 1)
fi

if [ ! -s "$markdown" ]; then
  # The suite as the reports name it, so that the comment stays one.
  name=${GATE_SUITE##*/}
  name=${name%.y*ml}
  # Another program's words: indented, so that nothing in them is markup, and without control characters.
  {
    printf '<!-- gauntlet-gate:%s -->\n' "$(printf '%s' "$name" | sed 's/[^A-Za-z0-9_.]/-/g; s/--*/-/g')"
    printf '### ⚠️ The gate could not decide\n\n'
    tail -n 20 "$folder/said" | tr -d '\000-\010\013-\037\177' | cut -c 1-500 | sed 's/^/    /'
  } > "$markdown"
fi
[ -n "${GITHUB_STEP_SUMMARY:-}" ] && cat "$markdown" >> "$GITHUB_STEP_SUMMARY"

{
  echo "code=$code"
  echo "verdict=$verdict"
  echo "markdown=$markdown"
  if [ -s "$junit" ]; then echo "junit=$junit"; fi
} >> "$GITHUB_OUTPUT"
