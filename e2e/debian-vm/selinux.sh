#!/bin/bash
# Runs a command with SELinux enforcing, inside the machine of vm.sh: e2e/debian-vm/vm.sh -k 'security=selinux selinux=1' -- \
#   e2e/debian-vm/selinux.sh <command…>
#
# The policy is the tests' own (services/node-agent/src/selinux/testing/policy.cil); PERMISSIVE=1 notes what it would refuse and refuses nothing.
# Needs secilc (package secilc).
set -eu

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
export PATH=$PATH:/usr/sbin:/sbin
command -v secilc >/dev/null || {
  echo 'secilc is not installed: apt-get install secilc' >&2
  exit 1
}
grep -q selinuxfs /proc/filesystems || {
  echo "this kernel has no SELinux, or it is off: vm.sh -k 'security=selinux selinux=1'" >&2
  exit 1
}
policy=$(mktemp -d)
trap 'rm -rf "$policy"' EXIT
{
  cat "$here/../../services/node-agent/src/selinux/testing/policy.cil"
  seq -f '(category c%.0f)' 0 1023
  echo "(categoryorder ($(seq -s ' ' -f 'c%.0f' 0 1023)))"
} >"$policy/all.cil"
secilc -c 33 -o "$policy/binary" -f /dev/null "$policy/all.cil"
mountpoint -q /sys/fs/selinux || mount -t selinuxfs selinuxfs /sys/fs/selinux
dd if="$policy/binary" of=/sys/fs/selinux/load bs=64M status=none
printf %s "$((1 - ${PERMISSIVE:-0}))" >/sys/fs/selinux/enforce
"$@"
