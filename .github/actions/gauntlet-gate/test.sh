#!/usr/bin/env bash
# Runs the action's scripts against a GitHub that is a small server here, and a gauntlet that is a script: a comment is
# made once and written over afterwards, a stranger's that begins like ours is left alone, and the gate's code comes through.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
server=
trap '[ -n "$server" ] && kill "$server" 2> /dev/null; rm -rf "$work"' EXIT

cat > "$work/github.py" <<'PYTHON'
import http.server, json, sys

comments = [{"id": 1, "user": {"login": "stranger"}, "body": "<!-- gauntlet-gate:support -->\nmine"}]

class Github(http.server.BaseHTTPRequestHandler):
    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def taken(self):
        assert self.headers["authorization"] == "Bearer token-of-the-job", "the token comes along"
        return json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"null")

    def do_GET(self):
        if "/forbidden/" in self.path:
            return self.send_error(403)
        self.taken()
        self.answer(comments)

    def do_POST(self):
        comments.append({"id": len(comments) + 1, "user": {"login": "github-actions[bot]"}, **self.taken()})
        self.answer(comments[-1])

    def do_PATCH(self):
        comments[int(self.path.rsplit("/", 1)[1]) - 1].update(self.taken())
        self.answer({})

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Github)
print(server.server_address[1], flush=True)
server.serve_forever()
PYTHON

cat > "$work/gauntlet" <<'PROGRAM'
#!/usr/bin/env bash
printf '%s\n' "$*" >> "$SAID"
[ "$1" = eval ] && exit "$RUN_CODE"
while [ $# -gt 0 ]; do
  case $1 in
    --junit) printf '      <property name="verdict" value="%s"/>\n' "$VERDICT" > "$2" ;;
    --markdown) printf '<!-- gauntlet-gate:support -->\n### report of %s\n' "$VERDICT" > "$2" ;;
  esac
  shift
done
exit "$GATE_EXITS"
PROGRAM
chmod +x "$work/gauntlet"

python3 "$work/github.py" > "$work/port" &
server=$!
for _ in $(seq 100); do [ -s "$work/port" ] && break; sleep 0.05; done
export GITHUB_API_URL=http://127.0.0.1:$(cat "$work/port") GITHUB_REPOSITORY=acme/app GATE_PULL_REQUEST=7
export GATE_TOKEN=token-of-the-job GATE_AUTHOR="github-actions[bot]" RUNNER_TEMP=$work SAID=$work/calls
export GATE_BINARY=$work/gauntlet GATE_SUITE='support; touch pwned' GATE_BASELINE=production

same() { # NAME FOUND WANTED
  [ "$2" = "$3" ] || { echo "$1: found \`$2\`, wanted \`$3\`" >&2; exit 1; }
}

gate() { # RUN-CODE GATE-CODE VERDICT
  export GITHUB_OUTPUT=$work/output RUN_CODE=$1 GATE_EXITS=$2 VERDICT=$3
  : > "$GITHUB_OUTPUT"
  : > "$SAID"
  bash "$here/gate.sh"
  GATE_MARKDOWN=$(sed -n 's/^markdown=//p' "$GITHUB_OUTPUT")
  export GATE_MARKDOWN
}

told() { sed -n "s/^$1=//p" "$GITHUB_OUTPUT"; }
comments() { curl -s -H "authorization: Bearer $GATE_TOKEN" "$GITHUB_API_URL/x" | jq -r "$1"; }

cd "$work"
gate 0 1 fail
same code "$(told code)" 1
same verdict "$(told verdict)" fail
same calls "$(head -n 1 "$SAID")" 'eval run support; touch pwned --yes --fast --baseline production'
[ ! -e pwned ] || { echo "an input was run as a command" >&2; exit 1; }
bash "$here/comment.sh"
gate 0 3 inconclusive
same code "$(told code)" 3
bash "$here/comment.sh"
same count "$(comments length)" 2
same "the stranger's" "$(comments '.[0].body | endswith("mine")')" true
same ours "$(comments '.[1].body | contains("report of inconclusive")')" true

# A token that may not write comments leaves the verdict as it is.
GITHUB_REPOSITORY=forbidden/app bash "$here/comment.sh" 2> "$work/warned"
grep -q '^::warning::' "$work/warned"
same count "$(comments length)" 2

# A run that cannot be done is an error, said in the comment, and no gate is asked.
gate 2 0 pass
same code "$(told code)" 2
same verdict "$(told verdict)" error
same calls "$(wc -l < "$SAID" | tr -d ' ')" 1
grep -q 'could not decide' "$GATE_MARKDOWN"
echo "The action's scripts work."
