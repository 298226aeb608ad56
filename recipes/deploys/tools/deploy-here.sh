#!/bin/bash
# Plain bash on the host itself: `verify-token run` around what deploys; what is not verified goes back
#
#   deploy-here.sh build.tar.gz
#
# Change: the application's folder and the unit, here or as `APP=/srv/shop SERVICE=shop deploy-here.sh ...`. The user needs
# rights/49-deploy.rules; with rights/sudoers instead, write `sudo systemctl`. The exit code is verify-token's, or the restart's own.
set -euo pipefail
export APP=${APP:-/srv/app} SERVICE=${SERVICE:-web} TIMEOUT=${TIMEOUT:-60s}

switch() { ln -sfn "$1" "$APP/current.new" && mv -T "$APP/current.new" "$APP/current"; }

case $1 in
forward)
    # nginx has no code that could read a file when it boots: it is told, as endpoints/nginx.conf says. Leave it out for others.
    [ "$SERVICE" != nginx ] || printf 'return 200 "%s";\n' "$DEPLOY_TOKEN" > "$2/token-nginx.conf"
    switch "$2"
    # A service that is down is started.
    systemctl reload-or-restart "$SERVICE"
    ;;
back)
    switch "$2"
    systemctl restart "$SERVICE"
    ;;
*)
    release=$APP/releases/$(date -u +%Y%m%d%H%M%S)
    before=$(readlink "$APP/current" || true)
    mkdir -p "$release"
    tar -xzf "$1" -C "$release"
    # The workers that run now are remembered, the token is written, and nobody is alerted while this lasts.
    exec verify-token run --service "$SERVICE" --release "$release" --probe --timeout "$TIMEOUT" \
        ${before:+--on-failure "'$0' back '$before'"} -- "$0" forward "$release"
    ;;
esac
