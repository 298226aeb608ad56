"""Node: one process, or its cluster module with a main process that stays."""
import os, signal

from .service import Service

PRIMARY = """
const cluster = require("cluster"), fs = require("fs");
if ("SHARED" in process.env) cluster.schedulingPolicy = cluster.SCHED_NONE;
cluster.setupPrimary({ exec: __dirname + "/worker.js" });
for (let number = 0; number < Number(process.env.WORKERS); number++) cluster.fork();
// A new worker first, then an old one is sent away; with HALF the first only.
process.on("SIGUSR2", () => {
  const old = Object.values(cluster.workers).slice(0, "HALF" in process.env ? 1 : undefined);
  const next = () => {
    const worker = old.shift();
    if (worker) cluster.fork().on("listening", () => { worker.disconnect(); setTimeout(next, 100); });
  };
  next();
});
fs.writeFileSync(__dirname + "/pid", `${process.pid}\\n`);
"""
WORKER = 'require(require("fs").realpathSync(__dirname + "/current") + "/app.js");\n'
ALONE = 'require("fs").writeFileSync(__dirname + "/pid", `${process.pid}\\n`);\n' + WORKER


class Node(Service):
    # `cluster`: `robin`, where the main process accepts and hands connections over, `shared`, where workers accept themselves, or `no`.
    # `script`: `fixed`: the script's path is resolved once, as some supervisors do it, and what follows the link is the working directory.
    OPTIONS = {"workers": 2, "cluster": "no", "half": False, "keeps": False, "script": "link", "pwd": True}

    @property
    def workers(self):
        return int(self.options["workers"]) if self.options["cluster"] != "no" else 1

    def configure(self):
        self.write("primary.js", PRIMARY)
        self.write("worker.js", WORKER)
        self.write("alone.js", ALONE)

    def environment(self):
        environment = {**super().environment(), "WORKERS": str(self.workers)}
        for option, name in [("half", "HALF"), ("keeps", "KEEPS_CONNECTIONS")]:
            if self.options[option]:
                environment[name] = "1"
        if self.options["cluster"] == "shared":
            environment["SHARED"] = "1"
        return environment

    def command(self):
        if self.options["script"] == "fixed":
            # The shell writes its own number down, which becomes that of the server.
            return ["/bin/sh", "-c", f'echo $$ > {self.path("pid")}; exec /usr/bin/node {os.path.realpath(self.path("current"))}/app.js']
        return ["/usr/bin/node", self.path("alone.js" if self.options["cluster"] == "no" else "primary.js")]

    def rolling_reload(self):
        """USR2: the main process replaces one worker after the other."""
        self.signal(signal.SIGUSR2)
