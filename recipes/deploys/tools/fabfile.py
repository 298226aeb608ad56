# Fabric 2 and 3: fabfile.py
#
#   fab -H app-1,app-2,app-3 deploy --archive build.tar.gz
#
# One host after the other; the first that is not verified ends it.
import time

from fabric import task

APP = "/srv/app"
SERVICE = "web"


@task
def deploy(c, archive):
    release = f"{APP}/releases/{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"
    c.put(archive, f"{APP}/incoming.tar.gz")
    c.run(f"mkdir -p {release} && tar -xzf {APP}/incoming.tar.gz -C {release}")
    # Before the link changes: the workers that run now are remembered.
    deploy_id = c.run(f"verify-token prepare --service {SERVICE} --release {release} --print id", hide="out").stdout.strip()
    c.run(f"ln -sfn {release} {APP}/current.new && mv -T {APP}/current.new {APP}/current")
    c.run(f"sudo systemctl reload {SERVICE}")
    # Any exit code but 0 raises, and with it the other hosts are left alone.
    c.run(f"verify-token check --deploy {deploy_id} --timeout 60s")
