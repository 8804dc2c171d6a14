#!/bin/sh
# enter-root.sh ROOT COMMAND...: runs a command with ROOT as its root directory, with mounts and processes of its own,
# which end with it. Needs root. Not chroot(2): below it the kernel refuses user namespaces, which every guest needs.
set -e
root=$(realpath "$1")
shift
for file in /etc/resolv.conf /etc/hosts; do cp "$file" "$root$file"; done
exec unshare --mount --pid --fork --kill-child env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  HOME=/root LANG=C.UTF-8 sh -c '
set -e
root=$0
mount --make-rprivate /
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mkdir -p "$root/.host"
cd "$root"
pivot_root . .host
cd /
mount -t proc proc /proc
umount -l /.host
exec "$@"' "$root" "$@"
