"""uWSGI."""
import os, signal

from .service import Service


class Uwsgi(Service):
    # `unix`: it speaks the uwsgi protocol, over a socket to which a web server passes requests on.
    OPTIONS = {"workers": 3, "lazy": False, "directory": True, "pwd": False, "unix": False}

    def configure(self):
        lines = [
            "[uwsgi]", "plugins = python3", self.listener(), "master = true", f"processes = {self.workers}",
            f"pidfile = {self.path('pid')}", "module = app:application", "pythonpath = .", "need-app = true", "enable-threads = true",
            "die-on-term = true", f"master-fifo = {self.path('fifo')}", "disable-logging = true"]
        lines += ["lazy-apps = true"] if self.options["lazy"] else []
        lines += [f"chdir = {self.path('current')}"] if self.options["directory"] is True else []
        self.write("uwsgi.ini", "\n".join(lines) + "\n")

    def listener(self):
        return f"uwsgi-socket = {self.path('socket')}" if self.options["unix"] else f"http-socket = 127.0.0.1:{self.port}"

    def answers(self):
        return os.path.exists(self.path("socket")) if self.options["unix"] else super().answers()

    def loads_at_start(self):
        return self.workers if self.options["lazy"] else 1

    def command(self):
        return ["/usr/bin/uwsgi", "--ini", self.path("uwsgi.ini")]

    def hup(self):
        """HUP: the master executes itself anew, with new code."""
        self.signal(signal.SIGHUP)

    def chain_reload(self):
        """`c` into the fifo: with lazy-apps one worker after the other loads its code anew."""
        with open(self.path("fifo"), "w") as fifo:
            fifo.write("c")
