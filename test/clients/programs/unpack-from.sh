#!/bin/sh
# Packages of another Debian release, downloaded and unpacked, never installed. Usage: unpack-from.sh SUITE DIRECTORY PACKAGE...
# From the archive that this machine takes its own from, with lists of their own. The directory is there afterwards,
# complete, or not at all.
set -eu
suite=$1
target=$2
shift 2
[ -e "$target" ] && exit 0

mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root" "$work/lists/partial" "$work/cache/archives/partial"
chmod 755 "$work/root"
archive=$(sed -n 's/^URIs: *\([^ ]*\/debian\)\/* *$/\1/p; s/^deb  *\(\[[^]]*\] *\)\{0,1\}\([^ ]*\/debian\)\/* .*/\2/p' \
  /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1)
[ -n "$archive" ] || { echo "this machine has no archive of Debian in its lists" >&2; exit 1; }
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" >"$work/sources.list"
private() {
  "$@" -qq -o APT::Sandbox::User=root -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o Acquire::Languages=none
}
private apt-get update >&2
for package in "$@"; do (cd "$work" && private apt-get download "$package"); done
for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
# Another test may have been quicker.
mv -T "$work/root" "$target" 2>/dev/null || [ -e "$target" ]
