#!/bin/sh
# debian-root.sh FOLDER: Redis, PostgreSQL, busybox and the libraries they need, as the root of an image.
# Nothing is installed and no script of a package runs; apt takes them from the machine's own sources. Who has a registry of base
# images at hand does not need this.
set -eu

root=$1
postgres=$(apt-cache depends postgresql | sed -n 's/^ *Depends: postgresql-\([0-9]*\)$/\1/p')
wanted=" busybox-static redis-server redis-tools postgresql-$postgres postgresql-client-$postgres tzdata "
# The shared libraries of what is wanted, and theirs; not the compiler of queries, which alone is larger than all the rest.
for round in 1 2 3 4 5 6; do
  found=$(apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances $wanted |
    sed -n 's/^ [ |]*\(Pre\)\{0,1\}Depends: \(z\{0,1\}lib[a-z0-9.+-]*\)$/\2/p' | grep -v '^libllvm' | sort -u)
  before=$wanted
  for name in $found; do
    case $wanted in *" $name "*) ;; *) wanted="$wanted$name " ;; esac
  done
  [ "$wanted" != "$before" ] || break
done

rm -rf "$root.new"
mkdir -p "$root.new/debs"
(cd "$root.new/debs" && apt-get -q -o APT::Sandbox::User=root download $wanted >&2)
root=$(cd "$root.new" && pwd)
cd "$root"
mkdir -p usr/bin usr/sbin usr/lib usr/lib64 etc tmp root dev proc sys
chmod 1777 tmp
for name in bin sbin lib lib64; do ln -s "usr/$name" "$name"; done
for package in debs/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink
done
rm -rf debs usr/share/doc usr/share/man usr/share/locale usr/lib/*/bitcode usr/lib/postgresql/*/lib/bitcode
printf 'root:x:0:0::/root:/bin/sh\npostgres:x:70:70::/var/lib/postgresql:/bin/sh\nredis:x:71:71::/data:/bin/sh\n' >etc/passwd
printf 'root:x:0:\npostgres:x:70:\nredis:x:71:\n' >etc/group
for name in $(usr/bin/busybox --list); do [ -e "usr/bin/$name" ] || ln -s busybox "usr/bin/$name"; done
for program in usr/lib/postgresql/*/bin/*; do ln -sf "/$program" "usr/bin/${program##*/}"; done
rm -rf "${root%.new}"
mv "$root" "${root%.new}"
