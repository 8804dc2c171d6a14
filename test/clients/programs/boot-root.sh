#!/bin/sh
# Boots systemd with cloud-init in a root directory, which stays as it is: what the boot writes is in KEPT/upper, and
# the next boot finds it there. Ends when cloud-init has ended; what it reports of itself is in KEPT/upper/root/found.
# Usage: boot-root.sh ROOT KEPT DEV-LXD NAME     as root, in a mount namespace of its own
set -eu
root=$1 kept=$2 dev_lxd=$3 name=$4
mkdir -p "$kept/upper" "$kept/work" "$kept/root"
mount -t overlay -o "lowerdir=$root,upperdir=$kept/upper,workdir=$kept/work" none "$kept/root"
root=$kept/root
rm -rf "$root/root/found"
mkdir "$root/root/found"
units=$root/etc/systemd/system
mkdir -p "$units/multi-user.target.wants"
ln -sf ../devlxd-found.service "$units/multi-user.target.wants/devlxd-found.service"
# Type=exec: the last stage of cloud-init waits for the target, and must not wait for this.
cat >"$units/devlxd-found.service" <<UNIT
[Unit]
SuccessAction=exit
FailureAction=exit
[Service]
Type=exec
WorkingDirectory=/root/found
ExecStart=/bin/sh -c 'cloud-init status --wait >status; echo \$? >code; cp /run/cloud-init/result.json .'
StandardOutput=file:/root/found/output
StandardError=file:/root/found/output
UNIT
# systemd of today refuses the old hierarchy of cgroups, which this host may have.
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
status=0
timeout 300 sh -c 'echo $$ >"$0"; exec "$@"' "$kept/supervisor" \
  systemd-nspawn --quiet --register=no --keep-unit --private-network \
  -M "$name" -D "$root" --bind-ro="$dev_lxd:/dev/lxd" -b </dev/null >"$kept/console" 2>&1 || status=$?
rmdir "/run/systemd/nspawn/propagate/$name" 2>/dev/null || :
exit $status
