#!/bin/bash
# What a person does on a fresh Debian 12, with its own kernel: e2e/debian-vm/vm.sh -- e2e/debian-vm/smoke.sh
set -eu

name=debian-vm
data=/mnt/$name
export DOCKER_HOST=unix:///run/atoll/$name/docker.sock

step() {
  printf '%s' "$1"
  shift
  if output=$("$@" 2>&1); then
    printf ': fine\n'
  else
    printf ': failed\n%s\n' "$output"
    tail -n 20 "$data"/logs/*.log
    exit 1
  fi
}
shows() {
  wanted=$1
  shift
  text=$("$@" 2>&1) || { printf '%s\n' "$text"; return 1; }
  [[ $text == *"$wanted"* ]] || { printf 'not "%s" but: %s\n' "$wanted" "$text"; return 1; }
}
import_base() {
  node -e "
    import('$PWD/e2e/lib/base-image.ts').then(({ busyboxRootfs }) => process.stdout.write(busyboxRootfs()))
  " | docker import - busybox:latest
}

step 'a cluster of one host' ./atoll up --hosts 1 --detach --name "$name" --data-root "$data" "$@"
step 'cgroup v2 alone' shows 2 docker info -f '{{.CgroupVersion}}'
step 'services are the last that the kernel ends' shows -500 sh -c 'cat /proc/$(pgrep -f bundles/gateway.js | head -n 1)/oom_score_adj'
step 'docker import' import_base
step 'docker run' shows hello docker run --rm busybox echo hello
step 'limits' shows '67108864 50000 100000 50' docker run --rm -m 64m --cpus 0.5 --pids-limit 50 busybox sh -c \
  'cd /sys/fs/cgroup; echo $(cat memory.max cpu.max pids.max)'
if command -v apparmor_parser >/dev/null; then
  step 'AppArmor' shows 'atoll-default (enforce)' docker run --rm busybox cat /proc/self/attr/current
fi
step 'a network' docker network create front
step 'a server' docker run -d --name web --network front -p 8080:80 busybox httpd -f -p 80 -h /etc
step 'found by name' shows root docker run --rm --network front busybox wget -qO- http://web/passwd
step 'a published port' shows root busybox wget -qO- http://127.0.0.1:8080/passwd
step 'docker exec' shows 1 docker exec web sh -c 'echo $$ >/dev/null; ls /proc/1/comm | wc -l'
step 'docker cp' shows root sh -c 'docker cp web:/etc/passwd - | tar -xO'
step 'docker build' shows built sh -c "printf 'FROM busybox\nRUN echo built >/a\n' | docker build -q -t made - && docker run --rm made cat /a"
step 'docker commit' sh -c 'docker commit web kept && docker run --rm kept ls /etc/passwd'
step 'stats' shows web docker stats --no-stream
step 'memory ends it' shows '137 true' sh -c 'docker run --name big -m 16m busybox sh -c "tail /dev/zero"; docker inspect -f "{{.State.ExitCode}} {{.State.OOMKilled}}" big'
step 'the end' ./atoll down --yes --purge --name "$name" --data-root "$data"
