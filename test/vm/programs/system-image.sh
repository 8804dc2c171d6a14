#!/bin/sh
# Makes the disk of a machine that boots Debian with cloud-init and devlxd-agent, and says on its console what became of
# that. The roots stay as they are.
# Usage: system-image.sh ROOT MORE KERNEL AGENT-PACKAGE IMAGE     as root, in a mount namespace of its own
#   ROOT, MORE: unpacked packages; KERNEL: an unpacked kernel
set -eu
lower=$1 more=$2 kernel=$3 package=$4 image=$5
work=$(mktemp -d)
mount -t tmpfs none "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay -o "lowerdir=$more:$lower,upperdir=$work/upper,workdir=$work/work" none "$work/root"
root=$work/root

# As dpkg does it.
dpkg-deb -x "$package" "$root"
dpkg-deb -e "$package" "$root/control"
chroot "$root" env DPKG_MAINTSCRIPT_PACKAGE=devlxd-agent DPKG_MAINTSCRIPT_NAME=postinst /control/postinst configure
rm -r "$root/control"

# The modules that the agent needs, for modules-load.d and udev to find; what the disk needs is in the initramfs.
for modules in "$kernel"/lib/modules/*; do
  version=${modules##*/}
  mkdir -p "$root/usr/lib/modules/$version"
  cp "$modules"/modules.builtin* "$modules/modules.order" "$root/usr/lib/modules/$version"
  cp "$modules"/kernel/net/vmw_vsock/*.ko "$root/usr/lib/modules/$version"
  chroot "$root" depmod "$version"
done

units=$root/etc/systemd/system
# Nobody logs in, nothing is plugged in, and the disk has the size of its file system.
for unit in getty.target systemd-hwdb-update.service; do ln -s /dev/null "$units/$unit"; done
printf 'resize_rootfs: false\ngrowpart: {mode: "off"}\n' >"$root/etc/cloud/cloud.cfg.d/10_disk.cfg"
mkdir -p "$units/multi-user.target.wants"
ln -s ../devlxd-found.service "$units/multi-user.target.wants/devlxd-found.service"
# Type=exec: the last stage of cloud-init waits for the target, and must not wait for this.
cat >"$units/devlxd-found.service" <<'UNIT'
[Service]
Type=exec
ExecStart=/bin/sh /root/found.sh
StandardOutput=file:/dev/ttyS0
UNIT
cat >"$root/root/found.sh" <<'SCRIPT'
ran=$(cloud-init status --wait)
agent=$(systemctl show --value -p MainPID devlxd-agent.service)
time() { systemctl show --value -p "$2" "$1"; }
cat <<FOUND
found: code $?
found: status $(echo $ran)
found: result $(tr -d '\n' </run/cloud-init/result.json)
found: socket $(time devlxd-agent.socket ActiveEnterTimestampMonotonic)
found: agent $(time devlxd-agent.service ActiveEnterTimestampMonotonic)
found: local $(time cloud-init-local.service InactiveExitTimestampMonotonic)
found: localEnd $(time cloud-init-local.service ActiveEnterTimestampMonotonic)
found: final $(time cloud-final.service ActiveEnterTimestampMonotonic)
found: failed $(systemctl --failed --plain --no-legend | cut -d' ' -f1 | tr '\n' ' ')
found: memory $(sed -n 's/^Rss: *//p' /proc/$agent/smaps_rollup)
found: hostname $(cat /etc/hostname)
found: written $(stat -c %a /root/written) $(cat /root/written)
found: ran $(cat /root/ran)
machine is up
FOUND
SCRIPT

size=$(du -sm "$root" | cut -f1)
truncate -s "$((size + 200))M" "$image"
mke2fs -q -t ext4 -O ^has_journal -d "$root" "$image"
