#!/bin/sh
# Boots systemd in a container whose root is a copy-on-write one of this host's, or of the directory $ROOT, and runs a
# program of this project in it as root. Prints what it prints. The files PACKAGES/*.deb are in /root/packages there.
# usage: boot-systemd.sh SCRATCH PROJECT PACKAGES NAME COMMAND...     as root, in a mount namespace of its own
set -eu
scratch=$1 project=$2 packages=$3 name=$4
shift 4
mount -t tmpfs none "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
mount -t overlay -o "lowerdir=${ROOT:-/},upperdir=$scratch/upper,workdir=$scratch/work" none "$scratch/root"
root=$scratch/root
mkdir "$root/root/packages"
cp "$packages"/*.deb "$root/root/packages"
: >"$root/etc/fstab"
rm -f "$root/var/lib/man-db/auto-update" # an index of all manual pages, at each installation
rm -f "$root/usr/sbin/policy-rc.d" # of images for containers, where packages start nothing
cat >"$root/etc/systemd/system/devlxd-test.target" <<UNIT
[Unit]
Requires=basic.target
After=basic.target
Wants=devlxd-test.service
UNIT
cat >"$root/etc/systemd/system/devlxd-test.service" <<UNIT
[Unit]
After=basic.target
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
TimeoutStartSec=300
ExecStart=$*
StandardOutput=file:/root/output
StandardError=file:/root/output
UNIT
# systemd of newer releases refuses the old hierarchy of cgroups, which this host may have.
[ -z "${ROOT-}" ] || export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
# What systemd-nspawn leaves there goes with this mount namespace.
mkdir -p /run/systemd/nspawn
mount -t tmpfs none /run/systemd/nspawn
status=0
timeout 320 systemd-nspawn --quiet --register=no --keep-unit --private-network -M "$name" -D "$root" --bind-ro="$project" \
  -b systemd.unit=devlxd-test.target </dev/null >"$scratch/console" 2>&1 || status=$?
cat "$root/root/output" || tail -n 20 "$scratch/console" >&2
exit $status
