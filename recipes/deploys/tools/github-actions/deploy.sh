#!/bin/bash
# What the workflow's step Deploy does: the release and its token to each of $HOSTS, then the link, then the signal
#
# Change: /srv/app and web. On each host rights/sudoers.
set -euo pipefail
git archive --format tar.gz --output "$RUNNER_TEMP/build.tar.gz" HEAD
for host in $HOSTS; do
    ssh "$host" "mkdir -p '$RELEASE' && tar -xzf - -C '$RELEASE' && { readlink /srv/app/current || true; } > '$RELEASE/PREVIOUS'" < "$RUNNER_TEMP/build.tar.gz"
    # Not among the words of a command, which others can see; without a newline; before the restart.
    printf %s "$DEPLOY_TOKEN" | ssh "$host" "cat > '$RELEASE/TOKEN'"
    ssh -n "$host" "ln -sfn '$RELEASE' /srv/app/current.new && mv -T /srv/app/current.new /srv/app/current && sudo systemctl reload-or-restart web"
done
