#!/usr/bin/env bash
# Installs the servers that the storage tests run, below .cache/bin: a GCS API server and gcsfuse, as Go modules.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache/bin
if ! command -v go > /dev/null || ! command -v fusermount3 > /dev/null || ! command -v nginx > /dev/null; then
  apt-get update -qq
  packages=()
  command -v go > /dev/null || packages+=(golang-go)
  command -v fusermount3 > /dev/null || packages+=(fuse3)
  command -v nginx > /dev/null || packages+=(nginx-light)
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${packages[@]}" > /dev/null
fi
# The modules name the toolchain that they need; Go fetches it as a module.
install() {
  [ -x ".cache/bin/$1" ] || { echo "installing $1"; GOTOOLCHAIN=auto GOBIN="$PWD/.cache/bin" go install "$2"; }
}
install fake-gcs-server github.com/fsouza/fake-gcs-server@v1.54.0
install gcsfuse github.com/googlecloudplatform/gcsfuse/v3@v3.13.0
