#!/bin/bash
# ValidateService: anything but exit 0 makes CodeDeploy roll back.
set -euo pipefail
app=/srv/app
touch "$app/not-verified"
verify-token check --deploy "$(< "$app/deploy-id")" --timeout 60s
rm "$app/not-verified"
