#!/bin/sh
# Says which host of the cluster this container runs on and how often it was asked.
count=$(($(cat /var/lib/visits/count) + 1))
echo "$count" >/var/lib/visits/count

# HTTP ends its header lines with CR LF.
printf 'Content-Type: text/html; charset=utf-8\r\n\r\n'
cat <<PAGE
<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <title>$NAME on $(hostname)</title>
  <h1>$GREETING</h1>
  <p>This is container <b>$NAME</b> on host <b>$(hostname)</b>, visit $count.</p>
</html>
PAGE
