#!/usr/bin/env bash
# Installs what the benchmark compares with and measures by: nginx, wrk, aria2c and a C compiler from Debian, Olah and Starlette from PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/install-system-packages.sh nginx wrk aria2c cc curl python3 python3-venv
bash scripts/install-test-clients.sh
if [ ! -x .cache/python/bench/bin/olah-cli ]; then
  python3 -m venv .cache/python/bench
  .cache/python/bench/bin/pip install -q starlette==1.10.0 uvicorn==0.54.0 olah==0.5.4
fi
