#!/usr/bin/env bash
# Installs the servers that the storage tests run, below .cache/bin: a GCS API server and gcsfuse, as Go modules.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache/bin
bash scripts/install-system-packages.sh go fusermount3 nginx
# The modules name the toolchain that they need; Go fetches it as a module.
install() {
  [ -x ".cache/bin/$1" ] || { echo "installing $1"; GOTOOLCHAIN=auto GOBIN="$PWD/.cache/bin" go install "$2"; }
}
install fake-gcs-server github.com/fsouza/fake-gcs-server@v1.54.0
install gcsfuse github.com/googlecloudplatform/gcsfuse/v3@v3.13.0
