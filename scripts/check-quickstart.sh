#!/usr/bin/env bash
# Types the README's first command, looks whether a server is there, and whether SIGTERM to npm alone ends it.
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
    npm=$(cut -d" " -f1 "/proc/$server/task/$server/children")
    kill -TERM "$npm"
    for _ in $(seq 20); do
      curl -fs http://127.0.0.1:8000/health > /dev/null 2>&1 || exit 0
      sleep 1
    done
    echo 'the server lives on after SIGTERM to npm'
    exit 1
  fi
  sleep 1
done
cat /tmp/mirrorface-quickstart.log
exit 1
