#!/usr/bin/env bash
# Installs the servers that the storage tests run, below .cache/bin, as Go modules: a GCS API server, gcsfuse, and an S3
# server.
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
install versitygw github.com/versity/versitygw/cmd/versitygw@v1.8.0
# The Blob service's emulator is a package with many of its own, which are nobody else's business.
[ -x .cache/node/azurite/node_modules/.bin/azurite-blob ] || {
  echo "installing azurite"
  npm install --prefix .cache/node/azurite --no-save --no-audit --no-fund --loglevel error azurite@3.37.0
}
