#!/bin/bash
# What the workflow's step Roll back does: each of $HOSTS that has got the link goes back to what it had before
#
# Change: /srv/app and web. On each host rights/sudoers.
set -uo pipefail
status=0
for host in $HOSTS; do
    ssh "$host" bash -s -- "$RELEASE" <<'ON_THE_HOST' || status=1
set -euo pipefail
[ "$(readlink /srv/app/current)" = "$1" ] || exit 0
ln -sfn "$(cat "$1/PREVIOUS")" /srv/app/current.new && mv -T /srv/app/current.new /srv/app/current
sudo systemctl restart web
ON_THE_HOST
done
exit $status
