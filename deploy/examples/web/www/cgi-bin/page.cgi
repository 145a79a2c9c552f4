#!/bin/sh
# Says which host of the cluster this container runs on and how often it was asked.
count=$(($(cat /var/lib/visits/count) + 1))
echo "$count" >/var/lib/visits/count

echo 'Content-Type: text/html; charset=utf-8'
echo
cat <<PAGE
<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <title>$NAME on $(hostname)</title>
  <h1>$GREETING</h1>
  <p>This is container <b>$NAME</b> on host <b>$(hostname)</b>, visit $count.</p>
</html>
PAGE
