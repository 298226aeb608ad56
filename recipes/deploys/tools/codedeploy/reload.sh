#!/bin/bash
# ApplicationStart: the link, then the signal. After a deployment that was not verified, as when CodeDeploy goes back, the service is started anew:
# what dies while it boots hears no signals.
set -euo pipefail
app=/srv/app
ln -sfn "$app/releases/$DEPLOYMENT_ID" "$app/current.new"
mv -T "$app/current.new" "$app/current"
verb=reload-or-restart
[ ! -e "$app/not-verified" ] || verb=restart
systemctl "$verb" web
