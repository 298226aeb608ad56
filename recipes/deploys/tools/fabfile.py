# Fabric 2 and 3: fabfile.py
#
#   fab -H app-1,app-2,app-3 deploy --archive build.tar.gz
#
# Change: the two words below. One host after the other; the first that is not verified goes back and ends it. The exit code is verify-token's.
# On each host: verify-token, an agent that watches the service, and rights/sudoers.
import time

from fabric import task
from invoke import UnexpectedExit

APP = "/srv/app"
SERVICE = "web"


@task
def deploy(c, archive):
    release = f"{APP}/releases/{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"
    before = c.run(f"readlink {APP}/current || true", hide="out").stdout.strip()
    c.put(archive, f"{APP}/incoming.tar.gz")
    c.run(f"mkdir -p {release} && tar -xzf {APP}/incoming.tar.gz -C {release}")
    # Before the link changes: the workers that run now are remembered.
    deploy_id = prepare(c, release)
    try:
        # A service that is down is started.
        switch(c, release, "reload-or-restart")
        # Any exit code but 0 raises, and with it the other hosts are left alone.
        c.run(f"verify-token check --deploy {deploy_id} --timeout 60s")
    except UnexpectedExit:
        if before:
            # Old workers may still stand in that release. Its check also ends this deploy: the next one would be refused for half an hour.
            back_id = prepare(c, before, "--in-place --force")
            switch(c, before, "restart")
            c.run(f"verify-token check --deploy {back_id} --timeout 60s", warn=True)
        raise


def prepare(c, release, options=""):
    return c.run(f"verify-token prepare --service {SERVICE} --release {release} {options} --print id", hide="out").stdout.strip()


def switch(c, release, verb):
    c.run(f"ln -sfn {release} {APP}/current.new && mv -T {APP}/current.new {APP}/current")
    c.run(f"sudo systemctl {verb} {SERVICE}")
