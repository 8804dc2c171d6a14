#!/bin/sh
# Packages of another Debian release, downloaded and unpacked, never installed.
# Usage: unpack-from.sh [--with-dependencies] SUITE DIRECTORY PACKAGE...
# From the archive that this machine takes its own from, with lists of their own. The directory is there afterwards,
# complete, or not at all. With their dependencies, and '?essential' among the packages, it is the root of a system of
# which no package is configured.
set -eu
whole=
[ "$1" != --with-dependencies ] || { whole=1 && shift; }
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
: >"$work/status"
private() {
  "$@" -qq -o APT::Sandbox::User=root -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
    -o Acquire::Languages=none -o APT::Install-Recommends=false -o Debug::NoLocking=1
}
private apt-get update >&2
cd "$work"
if [ -n "$whole" ]; then
  private apt-get install -y --download-only "$@" >&2
  mv cache/archives/*.deb .
else
  for package in "$@"; do private apt-get download "$package"; done
fi
# Where /bin is a link to /usr/bin, packages with files in /bin leave it one.
[ -z "$whole" ] || for name in bin sbin lib lib64; do mkdir -p "root/usr/$name" && ln -s "usr/$name" "root/$name"; done
for package in *.deb; do dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C root; done
# Another test may have been quicker.
mv -T root "$target" 2>/dev/null || [ -e "$target" ]
