#!/usr/bin/env bash
# Installs what the tests need of Debian's packages, where it is missing.
set -euo pipefail
missing=()
need() {
  command -v "$1" > /dev/null || missing+=("$2")
}
need curl curl
need python3 python3
python3 -c 'import ensurepip' 2> /dev/null || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" > /dev/null
fi
