#!/usr/bin/env bash
# Writes the report as a comment of the pull request: over the one that this action wrote before, found by its hidden
# first line, else a new one.
set -euo pipefail

marker=$(head -n 1 "$GATE_MARKDOWN")
api=${GITHUB_API_URL:-https://api.github.com}/repos/$GITHUB_REPOSITORY
# A pull request with more comments than this gets a second report rather than an endless search.
pages_max=20

github() { # METHOD URL [BODY-FILE]
  local body=()
  [ $# -ge 3 ] && body=(--data-binary "@$3")
  # A pull request from a fork has a token that may not write; the verdict is the job's, whoever reads the comment.
  # The token goes in by a file that curl alone reads: an argument would show in the list of processes.
  curl --silent --show-error --fail --max-time 30 --retry 3 --request "$1" \
    --header "accept: application/vnd.github+json" --header "content-type: application/json" \
    --config <(printf 'header = "authorization: Bearer %s"\n' "$GATE_TOKEN") \
    "${body[@]}" "$2" || { echo "::warning::the report could not be written on the pull request ($1 $2)" >&2; return 1; }
}

found=
for page in $(seq "$pages_max"); do
  comments=$(github GET "$api/issues/$GATE_PULL_REQUEST/comments?per_page=100&page=$page") || exit 0
  # Anybody may write a comment that begins like ours; only our own is written over.
  found=$(jq --arg marker "$marker" --arg author "$GATE_AUTHOR" -r \
    '[.[] | select(.user.login == $author and (.body | startswith($marker)))][0].id // empty' <<< "$comments")
  if [ -n "$found" ] || [ "$(jq length <<< "$comments")" -lt 100 ]; then break; fi
done

body=$(mktemp)
jq --null-input --rawfile body "$GATE_MARKDOWN" '{body: $body}' > "$body"
if [ -n "$found" ]; then
  github PATCH "$api/issues/comments/$found" "$body" > /dev/null || exit 0
  echo "Comment $found was brought up to date."
else
  github POST "$api/issues/$GATE_PULL_REQUEST/comments" "$body" > /dev/null || exit 0
  echo "The pull request has a comment."
fi
