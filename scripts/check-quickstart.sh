#!/usr/bin/env bash
# Types the README's first command, and looks whether a server is there.
set -euo pipefail
cd "$(dirname "$0")/.."
command=$(grep -m1 -A1 '^```sh quickstart' README.md | tail -1)
echo "$command"
setsid bash -c "$command" > /tmp/mirrorface-quickstart.log 2>&1 &
server=$!
trap 'kill -TERM -- -$server 2> /dev/null || true' EXIT
for _ in $(seq 120); do
  if curl -fsS http://127.0.0.1:8000/ready 2> /dev/null; then
    echo
    curl -fsS http://127.0.0.1:9000/metrics | grep -m1 mirrorface_build_info
    exit 0
  fi
  sleep 1
done
cat /tmp/mirrorface-quickstart.log
exit 1
