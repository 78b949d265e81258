#!/usr/bin/env bash
# Installs what the benchmark compares with and measures by: nginx, wrk, aria2c and a C compiler from Debian, Olah and Starlette from PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=()
command -v nginx > /dev/null || packages+=(nginx-light)
command -v wrk > /dev/null || packages+=(wrk)
command -v aria2c > /dev/null || packages+=(aria2)
command -v cc > /dev/null || packages+=(gcc libc6-dev)
command -v curl > /dev/null || packages+=(curl)
if [ ${#packages[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null
fi
bash scripts/install-test-clients.sh
if [ ! -x .cache/python/bench/bin/olah-cli ]; then
  python3 -m venv .cache/python/bench
  .cache/python/bench/bin/pip install -q starlette==1.10.0 uvicorn==0.54.0 olah==0.5.4
fi
