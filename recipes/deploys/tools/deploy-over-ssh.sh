#!/bin/bash
# Plain bash over ssh: to one host after the other; the first one that is not verified goes back, and the others are left alone
#
#   deploy-over-ssh.sh build.tar.gz app-1 app-2 app-3
#
# Change: the application's folder, the unit, how long to look and which stall is too long, here or as `APP=/srv/shop SERVICE=shop
# deploy-over-ssh.sh ...`.
# On each host: verify-token, an agent that watches the service, and the rights from rights/. The exit code is verify-token's.
set -euo pipefail
app=${APP:-/srv/app}
service=${SERVICE:-web}
timeout=${TIMEOUT:-60s}
watch=${WATCH:-10s}
stall=${STALL:-1s}
archive=$1
shift

for host in "$@"; do
    ssh "$host" "cat > '$app/incoming.tar.gz'" < "$archive"
    ssh "$host" bash -s -- "$app" "$service" "$timeout" "$watch" "$stall" "$(date -u +%Y%m%d%H%M%S)" <<'ON_THE_HOST'
set -euo pipefail
app=$1 service=$2 timeout=$3 watch=$4 stall=$5 release=$1/releases/$6
before=$(readlink "$app/current" || true)
mkdir -p "$release"
tar -xzf "$app/incoming.tar.gz" -C "$release"

switch() { ln -sfn "$1" "$app/current.new" && mv -T "$app/current.new" "$app/current"; }

# Before the link changes: the workers that run now are remembered.
id=$(verify-token prepare --service "$service" --release "$release" --probe --print id)
switch "$release"
status=0
sudo systemctl reload-or-restart "$service" && verify-token check --deploy "$id" --timeout "$timeout" --watch "$watch" --max-stall "$stall" || status=$?
if [ "$status" != 0 ] && [ -n "$before" ]; then
    # Back, whatever can be proven of it; old workers may still stand in that release: hence --in-place.
    switch "$before"
    id=$(verify-token prepare --service "$service" --release "$before" --in-place --force --print id) || id=
    sudo systemctl restart "$service" || true
    [ -z "$id" ] || verify-token check --deploy "$id" --timeout "$timeout" || true
fi
exit "$status"
ON_THE_HOST
done
