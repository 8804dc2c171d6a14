#!/bin/sh
# Runs a command as a container has it: what is mounted at /mnt is at /dev/lxd, in a /dev of its own.
# For the root of a mount namespace. Usage: with-dev-lxd.sh COMMAND [ARGUMENT...]
set -eu
mount -n -t tmpfs -o mode=755 none /media
for node in null zero random urandom; do
  : >"/media/$node"
  mount -n --bind "/dev/$node" "/media/$node"
done
mkdir /media/lxd /media/shm
mount -n --move /mnt /media/lxd
mount -n --move /media /dev
exec "$@"
