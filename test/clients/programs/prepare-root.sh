#!/bin/sh
# Makes a root of unpacked packages one that boots: what their maintainer scripts would do of which a boot makes use.
# Usage: prepare-root.sh ROOT    as root
set -eu
root=$1
# What py3compile does when packages are configured.
[ -e "$root/usr/lib/python3/dist-packages/cloudinit/__pycache__" ] || for directory in "$root"/usr/lib/python3*; do
  chroot "$root" python3 -m compileall -qq "${directory#"$root"}" || :
done
[ ! -e "$root/etc/devlxd-prepared" ] || exit 0
for table in passwd group; do
  sed 's/^\([^:]*\):\*:/\1:x:/' "$root/usr/share/base-passwd/$table.master" >"$root/etc/$table"
done
sed 's/^\([^:]*\):.*/\1:*:19000:0:99999:7:::/' "$root/etc/passwd" >"$root/etc/shadow"
sed 's/^\([^:]*\):.*/\1:*::/' "$root/etc/group" >"$root/etc/gshadow"
[ -e "$root/bin/sh" ] || ln -s dash "$root/bin/sh"
[ -e "$root/bin/nc" ] || ln -s nc.openbsd "$root/bin/nc"
for what in auth account password session; do echo "$what required pam_permit.so" >"$root/etc/pam.d/common-$what"; done
: >"$root/etc/fstab"
: >"$root/etc/machine-id"
mkdir -p "$root/etc/ssl/certs"
cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
for unit in cloud-init-local cloud-init cloud-init-main cloud-init-network cloud-config cloud-final; do
  [ ! -e "$root/usr/lib/systemd/system/$unit.service" ] || systemctl --root="$root" -q enable "$unit.service"
done
rm -f "$root"/etc/systemd/system/multi-user.target.wants/ssh*
# The locales are not configured, and keys of every type take long.
printf 'locale: false\nssh_genkeytypes: [ed25519]\n' >"$root/etc/cloud/cloud.cfg.d/10_devlxd.cfg"
chroot "$root" ldconfig
systemd-sysusers --root="$root"
touch "$root/etc/.updated" "$root/var/.updated"
: >"$root/etc/devlxd-prepared"
