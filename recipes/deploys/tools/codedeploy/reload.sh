#!/bin/bash
# ApplicationStart: the link, then the signal.
set -euo pipefail
app=/srv/app
ln -sfn "$app/releases/$DEPLOYMENT_ID" "$app/current.new"
mv -T "$app/current.new" "$app/current"
systemctl reload web
