"""HAProxy: as a service that is deployed itself, or in front of others."""
import os, signal

from .service import PASSWORD, Service


class Haproxy(Service):
    # `backends`: ports with commas between them; without any it answers itself.
    # `weights`: of the backends, with commas too.
    OPTIONS = {"backends": "", "balance": "roundrobin", "weights": ""}

    def configure(self):
        release = self.path("current")
        if self.options["backends"]:
            rules = ["default_backend servers"]
            ports = self.options["backends"].split(",")
            weights = self.options["weights"].split(",") if self.options["weights"] else ["100"] * len(ports)
            servers = [f"server s{port} 127.0.0.1:{port} weight {weight}" for port, weight in zip(ports, weights)]
            backend = "\n    ".join(["backend servers", f"balance {self.options['balance']}", "option http-server-close", *servers])
        else:
            code = os.path.basename(os.path.realpath(release))
            with open(release + "/TRAITS") as file:
                broken = "raises" in file.read()
            # A file is read when the configuration is, and never again.
            token = f"{release}/TOKEN" if os.path.exists(release + "/TOKEN") else self.no_token()
            rules = [
                *(["this is no directive"] if broken else []),
                "http-request auth realm deploy if { path /about/deploy } !{ http_auth(people) }",
                f"http-request return status 200 content-type text/plain file {token} if {{ path /about/deploy }}",
                "http-request return status 200 content-type text/plain "
                f'lf-string "%pid {self.loaded_release(code)} {self.read(token)}" if {{ path /whoami }}',
                "http-request return status 200 content-type text/plain string ok"]
            backend = ""
        self.write("haproxy.cfg", f"""
global
    maxconn 400
userlist people
    user about insecure-password {PASSWORD}
defaults
    mode http
    timeout connect 2s
    timeout client 90s
    timeout server 90s
frontend web
    bind 127.0.0.1:{self.port}
    {(chr(10) + "    ").join(rules)}
{backend}
""")

    def no_token(self):
        self.write("no-token", "none")
        return self.path("no-token")

    def read(self, path):
        with open(path) as file:
            return file.read().strip()

    def loads_at_start(self):
        return 0

    def command(self):
        return ["/usr/sbin/haproxy", "-W", "-f", self.path("haproxy.cfg"), "-p", self.path("pid")]

    def reload(self):
        """USR2: the master reads the configuration anew and starts a new worker."""
        self.configure()
        self.signal(signal.SIGUSR2)
