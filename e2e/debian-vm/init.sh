#!/bin/busybox sh
# First process of the machine of vm.sh: the host's files as its root, then the command on the second console.
b=/bin/busybox
fail() {
  echo "vm: $*" >&2
  $b poweroff -f
}
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod "$module"; done
for option in $($b cat /proc/cmdline); do
  case $option in modules=*) modules=${option#modules=} ;; esac
done
$b mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /host || fail 'no files of the host'
$b mount -t tmpfs layer /layer
$b mkdir /layer/upper /layer/work
$b mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /root || fail 'no root'
cd /root
$b mount --move /dev dev
$b mount -t proc proc proc
$b mount -t sysfs sys sys
$b mount -t cgroup2 cgroup2 sys/fs/cgroup
$b mount -t securityfs securityfs sys/kernel/security
$b mount -t tmpfs run run
$b mkdir -p dev/pts dev/shm mnt
$b mount -t devpts devpts dev/pts
$b mount -t tmpfs shm dev/shm
$b mount -t ext4 dev/vdb mnt || fail 'no disk'
$b mkdir -m 1777 mnt/tmp
$b rm -rf lib/modules
$b ln -s "$modules" lib/modules
$b tr -d '\0' <dev/vda >run/command
$b umount /proc
$b cat >run/start <<'START'
ip link set lo up
hostname debian-vm
# Elsewhere the first who opens its device brings it; here nobody makes that.
modprobe loop
# A pipe, for a serial line passes for a person's terminal.
bash /run/command </dev/null 2>&1 | cat >/dev/ttyS1
printf '\nvm: ended with %s\n' "${PIPESTATUS[0]}" >/dev/ttyS1
sync
echo o >/proc/sysrq-trigger
sleep 10
START
exec $b switch_root /root /bin/bash /run/start </root/dev/console >/root/dev/console 2>&1
