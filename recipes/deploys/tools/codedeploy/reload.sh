#!/bin/bash
# ApplicationStart: the link, then the signal. A service that is down is started, as in the deploy that CodeDeploy goes back with.
set -euo pipefail
app=/srv/app
ln -sfn "$app/releases/$DEPLOYMENT_ID" "$app/current.new"
mv -T "$app/current.new" "$app/current"
systemctl reload-or-restart web
