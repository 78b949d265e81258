#!/usr/bin/env bash
# Unpacks huggingface_hub's own tests from its source distributions, below .cache/hub-tests/, each with an environment to run in.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/install-system-packages.sh python3 python3-venv git
versions=(0.36.2 1.33.0 2.4.0)
# What the tests that reach the Hub import; 'huggingface_hub[testing]' would bring gradio and more.
plugins=(pytest pytest-asyncio pytest-mock pytest-vcr pytest-rerunfailures pytest-timeout Jinja2 Pillow numpy jedi pyyaml)
declare -A extra=([0.36.2]="'pytest<8.2.2' 'pytest-asyncio<1' 'pytest-rerunfailures<16' InquirerPy==0.3.4 'urllib3<2'" [1.33.0]="'urllib3<2'")

for version in "${versions[@]}"; do
  folder=.cache/hub-tests/$version
  wanted="huggingface_hub==$version ${plugins[*]} ${extra[$version]:-}"
  if [ "$(cat "$folder/.installed" 2> /dev/null || true)" = "$wanted" ]; then continue; fi
  rm -rf "$folder"
  mkdir -p "$folder"
  echo "installing huggingface_hub $version and its tests"
  python3 -m venv "$folder/venv"
  eval "more=(${extra[$version]:-})"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "huggingface_hub==$version" "${plugins[@]}" "${more[@]}"
  "$folder/venv/bin/pip" download --quiet --disable-pip-version-check --no-binary :all: --no-deps --dest "$folder" "huggingface_hub==$version"
  tar xzf "$folder/huggingface_hub-$version.tar.gz" -C "$folder" --strip-components 1
  # The endpoints are written into the tests: they become what the runner says. The library is the installed one.
  sed -i -E 's|^(ENDPOINT_(STAGING\|PRODUCTION)) = .*|\1 = __import__("os").environ["HF_ENDPOINT"]|' "$folder/tests/testing_constants.py"
  rm -rf "$folder/src" "$folder/huggingface_hub-$version.tar.gz"
  touch "$folder/tests/__init__.py"
  echo "$wanted" > "$folder/.installed"
done
