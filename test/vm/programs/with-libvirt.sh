#!/bin/sh
# libvirtd itself, with the hook of docs/vm.md, and one domain with vsock. Says "created"; a line on the standard input
# ends the domain, and then libvirtd.
# Usage: with-libvirt.sh LIBVIRT HOOK     as root, in a mount namespace of its own
#   LIBVIRT: unpacked packages, which are laid over this host's directories; HOOK: devlxd-hook
set -eu
lower=$1 hook=$2
work=$(mktemp -d)
mount -t tmpfs none "$work"
for directory in etc usr var; do
  mkdir "$work/$directory" "$work/$directory.work"
  mount -t overlay -o "lowerdir=$lower/$directory:/$directory,upperdir=$work/$directory,workdir=$work/$directory.work" \
    none "/$directory"
done
# What the maintainer scripts would do.
ldconfig
echo 'libvirt-qemu:x:64055:64055::/:/bin/false' >>/etc/passwd
echo 'libvirt-qemu:x:64055:' >>/etc/group
mkdir -p /run/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt
printf 'unix_sock_group = "root"\nauth_unix_rw = "none"\n' >/etc/libvirt/libvirtd.conf
# Nothing here is confined: there is no systemd, and no AppArmor.
cat >/etc/libvirt/qemu.conf <<'CONF'
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
stdio_handler = "file"
CONF

# As docs/vm.md has it.
ln -s "$hook" /usr/bin/devlxd-hook
mkdir -p /etc/libvirt/hooks/qemu.d
printf '#!/bin/sh\nexec devlxd-hook libvirt user.mark=libvirt "$@"\n' >/etc/libvirt/hooks/qemu.d/devlxd
chmod 755 /etc/libvirt/hooks/qemu.d/devlxd

cat >"$work/domain.xml" <<'XML'
<domain type="qemu">
  <name>of-libvirt</name>
  <memory unit="MiB">32</memory>
  <os><type arch="x86_64" machine="q35">hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <vsock><cid auto="yes"/></vsock>
  </devices>
</domain>
XML
libvirtd >"$work/log" 2>&1 &
libvirtd=$!
virsh() { command virsh --quiet --connect qemu:///system "$@"; }
while ! [ -S /run/libvirt/libvirt-sock ]; do
  kill -0 "$libvirtd" 2>/dev/null || { cat "$work/log"; exit 1; }
  sleep 0.2
done
virsh create "$work/domain.xml" || cat "$work/log"
echo created
read -r _
virsh destroy of-libvirt
kill "$libvirtd"
wait "$libvirtd" || :
