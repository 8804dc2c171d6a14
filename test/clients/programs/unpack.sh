#!/bin/sh
# Debian packages, downloaded and unpacked, never installed. Usage: unpack.sh DIRECTORY PACKAGE...
# The directory is there afterwards, complete, or not at all.
set -eu
target=$1
shift
[ -e "$target" ] && exit 0

mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/root"
chmod 755 "$work/root"
(cd "$work" && apt-get -o APT::Sandbox::User=root download -qq "$@")
for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
# Another test may have been quicker.
mv -T "$work/root" "$target" 2>/dev/null || [ -e "$target" ]
