#!/bin/sh
# Installs, upgrades, removes and purges a package in a copy-on-write root of its own, without systemd, and runs the
# daemon there. usage: install-deb.sh OLD.deb NEW.deb SCRATCH     as root, in mount and pid namespaces of its own
set -eu
old=$1 new=$2 scratch=$3
mount -t tmpfs none "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
mount -t overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" none "$scratch/root"
mount -t proc none "$scratch/root/proc"
mount --rbind /dev "$scratch/root/dev"
mkdir -p "$scratch/root/tmp/packages"
chmod 1777 "$scratch/root/tmp"
rm -f "$scratch/root/var/lib/man-db/auto-update" # an index of all manual pages, at each installation
cp "$old" "$scratch/root/tmp/packages/old.deb"
cp "$new" "$scratch/root/tmp/packages/new.deb"

cat >"$scratch/root/tmp/packages/script" <<'SCRIPT'
set -eu
cd /
export DEBIAN_FRONTEND=noninteractive
expect() { [ "$2" = "$3" ] || { echo "$1: $2, not $3" >&2; exit 1; }; }
# What Node is installed from does not matter here; that it is named in the package does, elsewhere.
dpkg --force-depends -i /tmp/packages/old.deb >/dev/null 2>&1
expect 'owner of the state' "$(stat -c '%U %a' /var/lib/devlxd)" 'devlxd 700'
expect 'mode of the run directory' "$(stat -c '%U %a' /run/devlxd /run/devlxd/guest | tr '\n' ' ')" 'root 711 root 755 '
expect 'enabled units' "$(ls /etc/systemd/system/sockets.target.wants | grep devlxd | tr '\n' ' ')" 'devlxd-control.socket devlxd.socket '

devlxd serve --log-level warn & first=$!
until devlxd list >/dev/null 2>&1; do kill -0 $first; done
devlxd create c1 user.mark=here
echo DEVLXD_LOG_LEVEL=warn >>/etc/devlxd/devlxd.env
dpkg --force-depends --force-confold -i /tmp/packages/new.deb >/dev/null 2>&1
expect 'the changed configuration' "$(tail -n 1 /etc/devlxd/devlxd.env)" DEVLXD_LOG_LEVEL=warn
devlxd serve --takeover --log-level warn & second=$!
wait $first
expect 'what was stored' "$(devlxd list | grep -c c1)" 1
expect 'the new version' "$(devlxd --version)" 9.9.9
kill $second
wait $second

dpkg -r devlxd >/dev/null 2>&1
expect 'the program' "$(ls -d /usr/lib/devlxd /usr/bin/devlxd 2>/dev/null)" ''
expect 'the state' "$(ls /var/lib/devlxd | tr '\n' ' ')" 'devlxd.db images '
dpkg -P devlxd >/dev/null 2>&1
expect 'the user' "$(getent passwd devlxd || true)" ''
SCRIPT
chroot "$scratch/root" sh /tmp/packages/script
# What is in the upper layer is what has changed; a character device there is what was removed.
left=$(find "$scratch/upper" -name '*devlxd*' -not -path '*/upper/tmp/*' -not -type c)
[ -z "$left" ] || { echo "left over: $left" >&2; exit 1; }
