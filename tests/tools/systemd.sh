#!/bin/sh
# systemd.sh FOLDER PROGRAM: a systemd of its own on this machine, in namespaces, and nothing of the
# machine's own systemd in it. Needs root.
#
# FOLDER/system holds its units, FOLDER/etc is its /etc/edgemint, FOLDER itself its /run/test, PROGRAM
# its /usr/local/bin/edgemint. Each line of input is run as a command beside it; what it prints is
# followed by a line "exit STATUS". The end of the input is the end of all of it.
set -eu

if [ "${1:-}" != inside ]; then
    exec unshare --mount --propagation private sh "$0" inside "$@"
fi
folder=$2
program=$3

# A branch of the tree of control groups, which is removed at the end.
cgroups=/sys/fs/cgroup
mount -t cgroup2 cgroup2 "$cgroups"
branch=$cgroups/edgemint-test-$$
mkdir "$branch"
echo $$ >"$branch/cgroup.procs"

# systemd finds its files in place of the machine's.
machine='
    mount -t proc proc /proc
    mount --bind /proc/sys /proc/sys
    mount -o remount,bind,ro /proc/sys
    umount /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mount -t tmpfs tmpfs /run
    mkdir /run/test /run/etc /run/tmp
    mount --bind "$1" /run/test
    cp -a /etc/. /run/etc
    rm -rf /run/etc/systemd /run/etc/edgemint
    cp -a /run/test/etc /run/etc/edgemint
    mount --bind /run/etc /etc
    mount -t tmpfs tmpfs /usr/local/bin
    touch /usr/local/bin/edgemint
    mount --bind "$2" /usr/local/bin/edgemint
    mount -t tmpfs tmpfs /var/tmp
    mount -t tmpfs tmpfs /tmp
    mount --make-rshared /
    exec env -i container=test PATH="$PATH" SYSTEMD_UNIT_PATH=/run/test/system \
        /lib/systemd/systemd --system --unit=test.target --log-target=console --show-status=no
'
unshare --pid --fork --kill-child --mount --ipc --uts --cgroup \
    sh -euc "$machine" sh "$folder" "$program" </dev/null >"$folder/systemd.log" 2>&1 &
unshare=$!

while read -r line; do
    systemd=$(cat "/proc/$unshare/task/$unshare/children")
    status=0
    nsenter --target "${systemd% }" --mount --pid --ipc --uts --cgroup sh -c "$line" 2>&1 </dev/null || status=$?
    echo "exit $status"
done

kill -KILL "$unshare" 2>/dev/null || true
wait "$unshare" || true
echo $$ >"$cgroups/cgroup.procs"
# Processes that were killed take a moment to be gone.
for _ in $(seq 50); do
    find "$branch" -depth -type d -exec rmdir {} + 2>/dev/null && exit
    sleep 0.1
done
exit 1
