#!/bin/bash
# ValidateService: anything but exit 0 makes CodeDeploy roll back.
set -euo pipefail
exec verify-token check --deploy "$(< /srv/app/deploy-id)" --timeout 60s
