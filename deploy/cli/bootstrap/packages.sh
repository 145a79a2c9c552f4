# Debian packages of a machine that runs hosts: command (or file) and the package that brings it.

needed_packages() {
  cat <<'LIST'
ip iproute2
nft nftables
cc gcc
make make
/usr/include/stdio.h libc6-dev
busybox busybox-static
nsenter util-linux
LIST
  [ "$profile" != test ] || cat <<'LIST'
redis-server redis-server
skopeo skopeo
docker-registry docker-registry
docker-compose docker-compose
ps procps
wg wireguard-tools
wireguard-go wireguard-go
LIST
}

missing_packages() {
  needed_packages | while read -r wanted package; do
    case $wanted in
    /*) [ -e "$wanted" ] || printf '%s ' "$package" ;;
    # Services and administrators' commands lie in sbin, which is not on everybody's PATH.
    *) PATH=$PATH:/usr/sbin:/sbin command -v "$wanted" >/dev/null 2>&1 || printf '%s ' "$package" ;;
    esac
  done
}

install_packages() {
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    say "missing Debian packages, and not root: sudo apt-get install $missing"
    return 0
  fi
  if ! command -v apt-get >/dev/null 2>&1; then
    say "missing, and no apt-get here; install what your distribution calls: $missing"
    return 0
  fi
  say "installing Debian packages: $missing"
  # shellcheck disable=SC2086
  apt_install $missing && return 0
  say 'apt-get update'
  apt-get -q update >"$tools/apt.log" 2>&1 || { cat "$tools/apt.log" >&2; fail 'apt-get update failed'; }
  # shellcheck disable=SC2086
  apt_install $missing || { cat "$tools/apt.log" >&2; fail "apt-get could not install $missing"; }
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@" >"$tools/apt.log" 2>&1
}
