#!/usr/bin/env bash
# Installs Debian's packages that the tests need, where they are missing: those that give the commands named, or all.
set -euo pipefail
declare -A package_of=(
  [curl]=curl [python3]=python3 [python3-venv]=python3-venv [git]=git [git-lfs]=git-lfs [aria2c]=aria2 [ip]=iproute2
  [go]=golang-go [cargo]=cargo [cc]='gcc libc6-dev' [fusermount3]=fuse3 [nginx]=nginx-light [wrk]=wrk
  [promtool]=prometheus [chromium]=chromium [openssl]=openssl [c++]=g++ [strace]=strace
)
missing=()
for command in "${@:-${!package_of[@]}}"; do
  for name in $command; do
    if [ "$name" = python3-venv ]; then
      python3 -c 'import ensurepip' 2> /dev/null && continue
    elif command -v "$name" > /dev/null; then
      continue
    fi
    # shellcheck disable=SC2206 # one command may need two packages
    missing+=(${package_of[$name]})
  done
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "installing ${missing[*]}"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
