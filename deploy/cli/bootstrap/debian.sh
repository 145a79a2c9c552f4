# Programs that Debian's later suites have newer than this machine: unpacked beside the system, into .tools.
# apt works on a configuration of its own (sources, lists, cache); Debian's archive keyring on this machine checks the signatures.

find_nats_server() {
  for server in "$tools/nats/usr/sbin/nats-server" "$tools/nats/usr/bin/nats-server" "$(PATH=$PATH:/usr/sbin command -v nats-server || true)"; do
    [ -x "$server" ] && nats_is_new_enough "$server" && return 0
  done
  for suite in trixie sid; do
    unpack_from "$suite" nats-server "$tools/nats" && return 0
  done
  # Older servers cannot sync each write by themselves; `atoll up` then sets the folder's sync flags.
  if [ -x "$server" ]; then
    say 'no nats-server 2.10 or newer to be had: using the older one of this machine with synchronous folder flags'
  elif unpack_from own nats-server "$tools/nats"; then
    say 'no nats-server 2.10 or newer to be had: using the older one of Debian with synchronous folder flags'
  else
    fail 'there is no nats-server' 'put nats-server 2.10 or newer on the PATH'
  fi
}

nats_is_new_enough() {
  version=$("$1" --version) || return 1
  version=${version##*v}
  minor=${version#*.}
  [ "${version%%.*}" -gt 2 ] || { [ "${version%%.*}" = 2 ] && [ "${minor%%.*}" -ge 10 ]; }
}

# The end-to-end tests drive the stock docker CLI; its Debian 12 package cannot be had without a daemon.
find_docker_cli() {
  command -v docker >/dev/null 2>&1 && return 0
  [ -x "$tools/docker/usr/bin/docker" ] && return 0
  unpack_from trixie docker-cli "$tools/docker" || fail 'there is no docker CLI for the end-to-end tests' 'put docker on the PATH'
}

# The isolation tests show against it that their attacks work; Debian's packages of daemons would bring it onto the system.
find_runc() {
  [ -x "$tools/runc/usr/sbin/runc" ] && return 0
  unpack_from own runc "$tools/runc" || unpack_from bookworm runc "$tools/runc" ||
    say 'no runc to be had: the isolation tests that compare with it will fail'
}

# A real client of the native runtime's OCI command line, with what it needs and this machine may lack.
find_podman() {
  [ -x "$tools/podman/usr/bin/podman" ] && return 0
  packages='podman conmon libgpgme11 libassuan0 libsubid4'
  unpack_from own "$packages" "$tools/podman" || unpack_from bookworm "$packages" "$tools/podman" ||
    say 'no podman to be had: the test that drives our runtime with it will fail'
}

# Ordinary files of users are run by the compose of today; the one of Debian 12 is a package (packages.sh).
find_compose() {
  [ -x "$tools/compose/usr/libexec/docker/cli-plugins/docker-compose" ] && return 0
  for suite in sid trixie; do
    unpack_from "$suite" docker-compose "$tools/compose" && return 0
  done
  say 'no docker compose 2 to be had: the tests of compose files will fail'
}

# Redis and PostgreSQL for the example that the end-to-end tests run.
find_shop() {
  [ -x "$tools/shop/usr/bin/redis-server" ] && return 0
  say 'fetching Redis and PostgreSQL from Debian for the example'
  "$root/deploy/examples/shop/debian-root.sh" "$tools/shop" >"$tools/shop.log" 2>&1 ||
    say "no Redis and PostgreSQL to be had: the test of deploy/examples/shop will fail; .tools/shop.log has the reason"
}

# unpack_from <suite|own> <packages> <folder>: `own` is what the machine's own sources have.
unpack_from() {
  command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1 || return 1
  apt=$tools/apt
  rm -rf "$apt" "$3.new"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/download" "$3.new"
  say "fetching $2 from Debian ($1 suite) into ${3#"$root"/}"
  if use_suite "$1" &&
    (cd "$apt/download" && apt-get -q -c "$apt/apt.conf" download $2) >>"$apt/log" 2>&1 &&
    unpack_all "$3.new"; then
    rm -rf "$3" "$apt"
    mv "$3.new" "$3"
    return 0
  fi
  say "no $2 from there: $(grep -E '^(E|W|Err)' "$apt/log" | tail -n 1)"
  rm -rf "$apt" "$3.new"
  return 1
}

unpack_all() {
  for package in "$apt"/download/*.deb; do
    dpkg -x "$package" "$1" 2>>"$apt/log" || return 1
  done
}

# Writes apt.conf for a suite and fetches its lists. Proxies and the like stay those of the machine.
use_suite() {
  : >"$apt/log"
  echo 'APT::Sandbox::User "root";' >"$apt/apt.conf"
  [ "$1" != own ] || return 0
  release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v release="$release" '$2 == release && $3 == "main" { print $1; exit }')
  if [ -z "$mirror" ] || [ ! -r /usr/share/keyrings/debian-archive-keyring.gpg ]; then
    echo 'E: no Debian mirror among the sources of this machine' >>"$apt/log"
    return 1
  fi
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" >"$apt/sources.list"
  cat >>"$apt/apt.conf" <<CONF
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Get::List-Cleanup "false";
CONF
  apt-get -q -c "$apt/apt.conf" -o APT::Update::Error-Mode=any update >>"$apt/log" 2>&1
}
