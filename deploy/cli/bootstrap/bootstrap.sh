#!/bin/sh
# Slow path of ./atoll, called under its lock: bootstrap.sh <checkout> <run|test>.
# Each step looks first whether there is anything to do, and says in one line what it does.
set -eu

root=$1
profile=$2
tools=$root/.tools

say() { printf 'atoll: %s\n' "$*" >&2; }
fail() {
  printf 'atoll: cannot go on: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf 'atoll: to fix it: %s\n' "$2" >&2
  exit 1
}

. "$root/deploy/cli/bootstrap/packages.sh"
. "$root/deploy/cli/bootstrap/node.sh"
. "$root/deploy/cli/bootstrap/debian.sh"

cd "$root"
started=$tools/started-$profile
: >"$started"

install_packages
find_node
install_modules

say 'building the TypeScript packages'
# tsc -b builds what is out of date by itself; going through the task runner takes ten times as long.
"$node" node_modules/typescript/bin/tsc -b >"$tools/build.log" 2>&1 || {
  cat "$tools/build.log" >&2
  fail 'the build failed, see above'
}

say 'bundling the services'
"$node" deploy/cli/bootstrap/bundle.mjs "$root" "$tools/bundles" >&2 || fail 'the services could not be bundled, see above'

say 'compiling the container shim'
make --silent -C services/node-agent/native >&2 || fail 'the shim did not compile, see above' 'apt-get install gcc libc6-dev make'

find_nats_server
if [ "$profile" = test ]; then
  find_docker_cli
  find_runc
  find_podman
  find_compose
  find_shop
fi

# The stamp is as old as the start of this run: a file changed meanwhile counts as newer.
printf '%s\n' "$node" >"$started.new"
touch -r "$started" "$started.new"
mv "$started.new" "$tools/ready-$profile"
rm "$started"
