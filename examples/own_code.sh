#!/usr/bin/env bash
# Search over your own program, in any language: curl asks, reports and tells; python3 only reads the answers.
# Start a server with `sturgeon serve`, then run examples/own_code.sh.
set -euo pipefail

server=${STURGEON_SERVER:-http://127.0.0.1:8000}
server=${server%/v1}/v1
study=parabola-$(date +%s)-$$
calls=0

# send PATH BODY: a POST that may be repeated; under the same Idempotency-Key it has one effect.
send() {
    calls=$((calls + 1))
    curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused \
        ${STURGEON_TOKEN:+--header "Authorization: Bearer $STURGEON_TOKEN"} \
        --header "Idempotency-Key: $study-$calls-$RANDOM" \
        --header "Content-Type: application/json" --data "$2" "$server$1"
}

send /studies '{
    "name": "'"$study"'", "metric": "loss", "task": null, "budget": {"max_trials": 10},
    "space": {"x": {"type": "float", "low": -5, "high": 5}}
}' >/dev/null

while
    lease=$(send "/studies/$study/trials:ask" '{"worker": "own_code.sh"}')
    read -r number fence x < <(python3 -c '
import json, sys
for lease in json.load(sys.stdin)["leases"]:
    print(lease["number"], lease["fence"], lease["params"]["x"])' <<<"$lease")
do
    loss=$(python3 -c "print(($x - 1) ** 2)") # your own program
    trial=/studies/$study/trials/$number
    send "$trial:report" '{"fence": '"$fence"', "reports": [{"step": 1, "metrics": {"loss": '"$loss"'}}]}' >/dev/null
    send "$trial:tell" '{"fence": '"$fence"', "metrics": {"loss": '"$loss"'}, "step": 1}' >/dev/null
done

echo "The best of $study:"
curl --silent --show-error --fail-with-body ${STURGEON_TOKEN:+--header "Authorization: Bearer $STURGEON_TOKEN"} \
    "$server/studies/$study/best?k=1"
echo
