#!/bin/bash
# Deploys to one host after the other over ssh, and stops at the first one that is not verified.
#
#   deploy-over-ssh.sh build.tar.gz app-1 app-2 app-3
#
# On each host: verify-token, an agent that watches the service, and the rights from rights/.
set -euo pipefail
archive=$1
shift
app=${APP:-/srv/app}
service=${SERVICE:-web}

for host in "$@"; do
    ssh "$host" "cat > '$app/incoming.tar.gz'" < "$archive"
    ssh "$host" bash -s -- "$app" "$service" "$(date -u +%Y%m%d%H%M%S)" <<'ON_THE_HOST'
set -euo pipefail
app=$1 service=$2 release=$1/releases/$3
before=$(readlink "$app/current" || true)
mkdir -p "$release"
tar -xzf "$app/incoming.tar.gz" -C "$release"

switch() { ln -sfn "$1" "$app/current.new" && mv -T "$app/current.new" "$app/current"; }

# Before the link changes: the workers that run now are remembered.
id=$(verify-token prepare --service "$service" --release "$release" --probe --print id)
switch "$release"
sudo systemctl reload "$service"
status=0
verify-token check --deploy "$id" --timeout 60s --watch 10s --max-stall 1s || status=$?
if [ "$status" != 0 ] && [ -n "$before" ]; then
    # Back, whatever can be proven of it; old workers may still stand in that release: hence --in-place. A service that is down is started.
    switch "$before"
    id=$(verify-token prepare --service "$service" --release "$before" --in-place --force --print id) || id=
    sudo systemctl reload-or-restart "$service"
    [ -z "$id" ] || verify-token check --deploy "$id" || true
fi
exit "$status"
ON_THE_HOST
done
