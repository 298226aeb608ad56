"""gunicorn, with sync or gthread workers."""
import os, signal

from .service import Service


class Gunicorn(Service):
    # `network=own`: in a network namespace, where it has the port as well.
    OPTIONS = {
        "workers": 3, "class": "sync", "preload": False, "directory": True, "pwd": False, "unix": False, "tls": False, "proxied": False,
        "app": "app", "network": ""}

    def configure(self):
        # Behind a proxy that has the port.
        addresses = ["unix:" + self.path("socket")] if self.options["unix"] else []
        addresses += [f"127.0.0.1:{self.port}"] if self.options["network"] or not self.options["unix"] else []
        lines = [
            f"bind = {addresses}", f'pidfile = "{self.path("pid")}"', f"workers = {self.workers}", "timeout = 90",
            f'worker_class = "{self.options["class"]}"', f"threads = {4 if self.options['class'] == 'gthread' else 1}",
            f"preload_app = {bool(self.options['preload'])}"]
        if self.options["directory"] is True:
            lines.append(f'chdir = "{self.path("current")}"')
        if self.options["tls"]:
            lines += [f'{name} = "{path}"' for name, path in zip(["certfile", "keyfile"], self.certificate())]
        lines += ["proxy_protocol = True"] if self.options["proxied"] else []
        self.write("gunicorn.conf.py", "\n".join(lines) + "\n")

    def command(self):
        words = ["/usr/bin/python3", "/usr/bin/gunicorn", "-c", self.path("gunicorn.conf.py"), f"{self.options['app']}:application"]
        if self.options["network"]:
            return ["/usr/bin/unshare", "--net", "--", "/bin/sh", "-c", 'ip link set lo up && exec "$@"', "sh", *words]
        return words

    def answers(self):
        return os.path.exists(self.path("socket")) if self.options["unix"] else super().answers()

    def hup(self):
        """HUP: new workers by the same master."""
        self.signal(signal.SIGHUP)

    def usr2(self):
        """USR2 and nothing else: a second master beside the first."""
        self.signal(signal.SIGUSR2)

    def usr2_then_term(self):
        """USR2, and TERM to the old master when all new workers have loaded their code."""
        old, count = self.pid(), len(self.boots())
        self.signal(signal.SIGUSR2)
        self.wait("the new workers are there", lambda: len(self.boots()) >= count + (1 if self.options["preload"] else self.workers))
        os.kill(old, signal.SIGTERM)
