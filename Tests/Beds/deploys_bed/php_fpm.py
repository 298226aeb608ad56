"""PHP-FPM, whose pool has the token in its configuration: each worker has what its master read when it was started or reloaded."""
import glob, os, signal

from .service import Service


class PhpFpm(Service):
    # `ping`: the workers answer the token themselves, without a script.
    OPTIONS = {"workers": 2, "unix": True, "ping": False}

    def release(self, name, traits=()):
        super().release(name, traits)
        for script in ["whoami", "about"]:
            text = "getenv('DEPLOY_TOKEN')" if script == "about" else "getmypid() . ' ' . getenv('RELEASE') . ' ' . getenv('DEPLOY_TOKEN')"
            self.write(f"releases/{name}/{script}.php", f"<?php header('Content-Type: text/plain'); echo {text};\n")

    def configure(self):
        self.render()
        user = "user = root\ngroup = root\n" if os.geteuid() == 0 else ""
        self.write("php-fpm.conf", f"""
[global]
pid = {self.path("pid")}
error_log = {self.path("log")}
daemonize = no
[web]
{user}listen = {self.path("socket")}
pm = static
pm.max_children = {self.workers}
include = {self.path("pool.conf")}
""")

    def render(self):
        """What a deploy tool has to do: the pool's variables are in its configuration."""
        name, token = self.current_release()
        ping = f"ping.path = /about/deploy\nping.response = {token}\n" if self.options["ping"] else ""
        self.write("pool.conf", f"env[DEPLOY_TOKEN] = {token}\nenv[RELEASE] = {name}\n{ping}")

    def loads_at_start(self):
        return 0

    def answers(self):
        return os.path.exists(self.path("socket"))

    def command(self):
        return [sorted(glob.glob("/usr/sbin/php-fpm*"))[-1], "-F", "-R", "-y", self.path("php-fpm.conf")]

    def reload(self):
        """USR2: the master executes itself anew, with the configuration as it is now."""
        self.render()
        self.signal(signal.SIGUSR2)
