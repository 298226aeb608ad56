#!/bin/bash
# AfterInstall: the release gets its folder and its token, while the old workers still run. --force: CodeDeploy does one deployment at a time,
# and one that failed half-way would be in the way for half an hour.
set -euo pipefail
app=/srv/app
release=$app/releases/$DEPLOYMENT_ID
mv -T "$app/incoming" "$release"
verify-token prepare --service web --release "$release" --revision "$DEPLOYMENT_ID" --force --print id > "$app/deploy-id"
