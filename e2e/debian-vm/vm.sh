#!/bin/bash
# Runs a command in an emulated machine with Debian 12's own kernel: e2e/debian-vm/vm.sh [-t seconds] [-k 'kernel parameters'] -- <command…>
#
# It has the files of this machine, read-only below a layer that goes with it (so the checkout as it is built now), and what this
# machine may lack: cgroup v2 alone, AppArmor, project quotas, WireGuard and ipvlan in the kernel, overlayfs of before "lowerdir+".
# No network. /mnt is an empty ext4 and TMPDIR in it. Needs no KVM; programs take 10 to 20 times as long. Exits as the command does.
set -eu

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
root=$(readlink -f -- "$here/../..")
tools=$root/.tools/debian-vm
seconds=600 parameters=
while getopts t:k: option; do
  case $option in
  t) seconds=$OPTARG ;;
  k) parameters=$OPTARG ;;
  *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || {
  sed -n 's/^# \?//; 2,7p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

# Packages of the machine, and the kernel unpacked beside it.
fetch() {
  missing=
  for needed in qemu-system-x86_64:qemu-system-x86 cpio:cpio mke2fs:e2fsprogs depmod:kmod busybox:busybox-static apparmor_parser:apparmor \
    mkfs.xfs:xfsprogs secilc:secilc; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${needed%%:*}" >/dev/null || missing="$missing ${needed##*:}"
  done
  # shellcheck disable=SC2086
  [ -z "$missing" ] || DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $missing >&2
  package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-6/ { print $2; exit }')
  [ -n "$package" ] || {
    echo 'no linux-image-amd64 of Debian among the packages of this machine: apt-get update' >&2
    exit 1
  }
  rm -rf "$tools.new" && mkdir -p "$tools.new/package"
  (cd "$tools.new/package" && apt-get -q -o APT::Sandbox::User=root download "$package" >&2)
  dpkg -x "$tools.new"/package/*.deb "$tools.new"
  rm -rf "$tools.new/package" "$tools"
  depmod -b "$tools.new" "${package#linux-image-}"
  printf '%s' "${package#linux-image-}" >"$tools.new/version"
  mv "$tools.new" "$tools"
}

# What mounts the machine's files as the root: busybox and the modules that takes, in the order of their dependencies.
pack_initrd() {
  stage=$work/initrd.d number=10
  mkdir -p "$stage/bin" "$stage/modules" "$stage/host" "$stage/layer" "$stage/root" "$stage/proc" "$stage/dev"
  cp "$(command -v busybox)" "$stage/bin/busybox"
  install -m 0755 "$here/init.sh" "$stage/init"
  for module in virtio_pci 9pnet_virtio 9p overlay virtio_blk crc32c_generic ext4; do
    line=$(grep "/$module\.ko:" "$modules/modules.dep")
    # shellcheck disable=SC2086
    for file in $(printf '%s\n' ${line#*:} | tac) "${line%%:*}"; do
      number=$((number + 1))
      [ -e "$stage"/modules/*-"${file##*/}" ] || cp "$modules/$file" "$stage/modules/$number-${file##*/}"
    done
  done
  (cd "$stage" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd"
}

export PATH=$PATH:/usr/sbin:/sbin
[ -f "$tools/version" ] || fetch
version=$(cat "$tools/version")
modules=$tools/lib/modules/$version
work=$(mktemp -d "${TMPDIR:-/tmp}/atoll-vm-XXXXXX")
trap 'rm -rf "$work"' EXIT
pack_initrd
truncate -s 8G "$work/disk"
mke2fs -q -t ext4 "$work/disk"
# A disk's text ends where its zeros begin.
{
  printf 'cd %q\nexport PATH=%q HOME=/root TMPDIR=/mnt/tmp VM=debian\n' "$PWD" "$root/.tools/node/bin:$PATH"
  printf '%q ' "$@"
} >"$work/command"
truncate -s 1M "$work/command"
mkfifo "$work/console"
timeout --foreground "$seconds" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 4096 -display none -no-reboot -nic none \
  -kernel "$tools/boot/vmlinuz-$version" -initrd "$work/initrd" \
  -append "console=ttyS0 quiet panic=1 modules=$tools/lib/modules $parameters" \
  -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
  -drive "file=$work/command,if=virtio,format=raw" -drive "file=$work/disk,if=virtio,format=raw" \
  -serial "file:$work/log" -serial stdio </dev/null >"$work/console" &
qemu=$!
code=1
while IFS= read -r line; do
  case $line in
  'vm: ended with '*) code=${line##* } ;;
  *) printf '%s\n' "$line" ;;
  esac
done < <(sed -u 's/\r//g' <"$work/console")
wait "$qemu" || { tail -n 20 "$work/log" >&2; echo "the machine did not come to its end in $seconds seconds" >&2; exit 1; }
[ "$code" = 0 ] || tail -n 5 "$work/log" >&2
exit "$code"
