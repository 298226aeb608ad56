"""Puma in cluster mode."""
import os, signal

from .service import Service


class Puma(Service):
    OPTIONS = {"workers": 3, "preload": False, "fork_worker": False, "directory": True, "pwd": False, "tls": False, "proxied": False}

    def configure(self):
        lines = [
            f'bind "{self.address()}"', f'pidfile "{self.path("pid")}"', 'environment "production"', f"workers {self.workers}",
            "threads 1, 4"]
        if self.options["directory"] is True:
            lines.append(f'directory "{self.path("current")}"')
        lines += ["set_remote_address proxy_protocol: :v1"] if self.options["proxied"] else []
        lines += [word for word, option in [("preload_app!", "preload"), ("fork_worker", "fork_worker")] if self.options[option]]
        self.write("puma.rb", "\n".join(lines) + "\n")

    def address(self):
        if not self.options["tls"]:
            return f"tcp://127.0.0.1:{self.port}"
        certificate, key = self.certificate()
        return f"ssl://127.0.0.1:{self.port}?cert={certificate}&key={key}&verify_mode=none"

    def loads_at_start(self):
        return 1 if self.options["preload"] or self.options["fork_worker"] else max(1, self.workers)

    def command(self):
        return ["/usr/bin/ruby", "/usr/bin/puma", "-C", self.path("puma.rb")]

    def hot_restart(self):
        """USR2: the master executes itself anew, with new code."""
        self.signal(signal.SIGUSR2)

    def phased_restart(self):
        """USR1: one worker after the other."""
        self.signal(signal.SIGUSR1)
