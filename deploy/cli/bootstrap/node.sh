# Node 24 and the npm packages of the checkout.

node_is_new_enough() {
  major=$("$1" --version 2>/dev/null) || return 1
  major=${major#v}
  [ "${major%%.*}" -ge 24 ]
}

find_node() {
  node=$(command -v node || true)
  if [ -n "$node" ] && node_is_new_enough "$node"; then
    node=$(readlink -f "$node")
  else
    node=$tools/node/bin/node
    node_is_new_enough "$node" || install_node
  fi
  PATH=$(dirname "$node"):$PATH
  export PATH
}

install_node() {
  command -v npm >/dev/null 2>&1 || fail 'neither Node 24 nor npm is on this machine' 'apt-get install npm, or put Node 24 on the PATH'
  say 'installing Node 24 (npm package node) into .tools/node'
  mkdir -p "$tools/node/bin"
  npm install --prefix "$tools/node" --no-save --no-package-lock --no-audit --no-fund --loglevel=error node@24 >&2 ||
    fail 'npm could not install the package node@24'
  # The package's install script puts the executable into bin; where scripts are switched off it stays in its own package.
  for binary in "$tools"/node/node_modules/node/bin/node "$tools"/node/node_modules/node-linux-*/bin/node "$tools"/node/node_modules/node/node_modules/node-linux-*/bin/node; do
    if node_is_new_enough "$binary"; then
      ln -sfn "$binary" "$tools/node/bin/node"
      return 0
    fi
  done
  fail 'the npm package node@24 brought no working executable for this machine' 'put Node 24 on the PATH'
}

install_modules() {
  lock=$(sha256sum package-lock.json)
  [ "$(cat node_modules/.atoll-lock 2>/dev/null)" != "$lock" ] || return 0
  # npm writes its hidden lock file last: newer than the lock means that npm itself brought both to this state.
  if [ -z "$(find node_modules/.package-lock.json -newer package-lock.json 2>/dev/null)" ]; then
    say 'installing the npm packages of package-lock.json (npm ci)'
    npm ci --no-audit --no-fund --loglevel=error >"$tools/npm.log" 2>&1 || {
      # A registry that lacks packages for other platforms makes npm distrust the lock file; it still installs what it says.
      say 'npm ci refused, trying npm install with the same lock file'
      npm install --no-save --no-audit --no-fund --loglevel=error >"$tools/npm.log" 2>&1
    } || {
      cat "$tools/npm.log" >&2
      fail 'npm could not install the packages, see above'
    }
  fi
  printf '%s\n' "$lock" >node_modules/.atoll-lock
}
