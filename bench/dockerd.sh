#!/bin/sh
# Runs a dockerd of its own: called inside new mount and network namespaces, with a folder for everything it writes.
# Usage: unshare --mount --net dockerd.sh <folder of the unpacked Debian packages> <work folder> <name of its cgroup>
set -eu
packages=$1 work=$2 group=$3
PATH=$packages/usr/bin:$packages/usr/sbin:$PATH
LD_LIBRARY_PATH=$packages/usr/lib/x86_64-linux-gnu
XTABLES_LIBDIR=$LD_LIBRARY_PATH/xtables
export PATH LD_LIBRARY_PATH XTABLES_LIBDIR
ip link set lo up
for controller in /sys/fs/cgroup/*/cgroup.procs; do
  case $controller in */unified/*) continue ;; esac
  mkdir -p "${controller%/cgroup.procs}/$group"
done
# cpuset groups start empty and take no process before they have CPUs and memory nodes.
if [ -d /sys/fs/cgroup/cpuset ]; then
  cat /sys/fs/cgroup/cpuset/cpuset.cpus >"/sys/fs/cgroup/cpuset/$group/cpuset.cpus"
  cat /sys/fs/cgroup/cpuset/cpuset.mems >"/sys/fs/cgroup/cpuset/$group/cpuset.mems"
fi
echo $$ >"/sys/fs/cgroup/cpuacct/$group/cgroup.procs"
exec dockerd --host "unix://$work/docker.sock" --data-root "$work/data" --exec-root "$work/exec" \
  --pidfile "$work/dockerd.pid" --cgroup-parent "/$group" --log-level error
