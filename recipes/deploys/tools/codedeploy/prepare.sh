#!/bin/bash
# AfterInstall: the release gets its folder and its token, while the old workers still run.
set -euo pipefail
app=/srv/app
release=$app/releases/$DEPLOYMENT_ID
mv -T "$app/incoming" "$release"
verify-token prepare --service web --release "$release" --revision "$DEPLOYMENT_ID" --print id > "$app/deploy-id"
