#!/bin/sh
# Debian's cloud-init and the Python packages it imports, downloaded and unpacked, never installed.
# Usage: unpack-cloud-init.sh DIRECTORY
# The directory is there afterwards, complete, or not at all.
set -eu
target=$1
[ -e "$target" ] && exit 0

modules='attr certifi chardet charset-normalizer configobj idna jinja2 json-pointer jsonpatch jsonschema
  markupsafe netifaces oauthlib pyrsistent requests serial six urllib3 yaml'
packages=cloud-init
for module in $modules; do packages="$packages python3-$module"; done

mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/root"
chmod 755 "$work/root"
# shellcheck disable=SC2086 # one word for each package
(cd "$work" && apt-get -o APT::Sandbox::User=root download -qq $packages)
for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
mv "$work/root" "$target"
