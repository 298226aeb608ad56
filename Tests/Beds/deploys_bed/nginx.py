"""nginx, which answers by itself (its configuration is the code), or in front of a server with a socket."""
import base64, os, signal

from .service import PASSWORD, BedError, Service

CREDENTIAL = base64.b64encode(f"about:{PASSWORD}".encode()).decode()


class Nginx(Service):
    # `backend`: the path of a socket, or an address; without one it answers itself. `keepalive`: so many connections to it are kept. `cache`: for so
    # long answers are kept; `bypass`: unless the question wishes for a fresh one. `pass`: what the backend speaks, `proxy` (HTTP), `uwsgi` or
    # `fastcgi`.
    OPTIONS = {"workers": 2, "daemon": True, "path": True, "static": False, "backend": "", "keepalive": "", "cache": "", "bypass": False, "pass": "proxy"}

    def configure(self):
        self.render()
        temporary = "".join(f"{kind}_temp_path {self.path('temporary-' + kind)};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        # Its workers are to reach folders that only root may enter, as long as it is root who runs this.
        user = "user root;" if os.geteuid() == 0 else ""
        own = f"location = / {{ return 200 ok; }} location = /large {{ limit_rate 100k; }} include {self.path('current')}/nginx-release.conf;"
        self.write("nginx.conf", f"""
{user}
daemon {"on" if self.options["daemon"] is True else "off"};
worker_processes {self.workers};
pid {self.path("pid")};
error_log {self.path("log")};
events {{ worker_connections 512; }}
http {{
    access_log off;
    default_type text/plain;
    {temporary}
    server {{
        listen 127.0.0.1:{self.port};
        root {self.path("current")};
        {"location = / { return 200 ok; }" if self.options["pass"] == "fastcgi" else ""}
        {self.locations() if self.options["backend"] else own}
    }}
    {self.around()}
}}
""")

    def locations(self):
        """Only the token is kept in a cache: what users get is what the server says."""
        passing = self.passing()
        locations = f"location / {{ {passing} }}"
        if self.options["cache"]:
            bypass = "proxy_cache_bypass $http_cache_control;" if self.options["bypass"] else ""
            kept = f"proxy_cache all; proxy_cache_valid 200 {self.options['cache']}; add_header X-Cache $upstream_cache_status; {bypass}"
            locations += f" location = /about/deploy {{ {passing} {kept} }}"
        return locations

    def passing(self):
        if self.options["pass"] == "uwsgi":
            return "include /etc/nginx/uwsgi_params; uwsgi_pass backend;"
        if self.options["pass"] == "fastcgi":
            root = os.path.dirname(self.options["backend"]) + "/current"
            return f"include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME {root}$fastcgi_script_name.php; fastcgi_pass backend;"
        kept = ' proxy_http_version 1.1; proxy_set_header Connection "";' if self.options["keepalive"] else ""
        return f"proxy_pass http://backend; proxy_set_header Host $http_host;{kept}"

    def around(self):
        if not self.options["backend"]:
            return ""
        server = "unix:" + self.options["backend"] if self.options["backend"].startswith("/") else self.options["backend"]
        kept = f"keepalive {self.options['keepalive']};" if self.options["keepalive"] else ""
        cache = f"proxy_cache_path {self.path('cache')} keys_zone=all:1m;" if self.options["cache"] else ""
        return f"upstream backend {{ server {server}; {kept} }} {cache}"

    def render(self):
        """What a deploy tool has to do: nginx reads the token from its configuration, not from a file."""
        release = self.path("current")
        name, token = self.current_release()
        with open(release + "/TRAITS") as file:
            broken = "raises" in file.read()
        # `auth_basic` comes after `return`, and so would not be asked.
        about = "try_files /TOKEN =404;" if self.options["static"] else f"""
    if ($http_authorization != "Basic {CREDENTIAL}") {{ return 401; }}
    return 200 {token};"""
        with open(release + "/nginx-release.conf", "w") as file:
            file.write(f"""
{"this is no directive;" if broken else ""}
location = /about/deploy {{ {about} }}
location = /whoami {{ return 200 "$pid {name} {token}"; }}
""")
        with open(release + "/large", "wb") as file:
            file.truncate(1 << 24)

    def loads_at_start(self):
        return 0

    def command(self):
        # Without its path it cannot execute itself anew.
        return ["/usr/sbin/nginx" if self.options["path"] is True else "nginx", "-e", self.path("log"), "-c", self.path("nginx.conf")]

    def hup(self):
        """HUP: new workers with the new configuration."""
        self.render()
        self.signal(signal.SIGHUP)

    def upgrade(self):
        """USR2, then QUIT to the old master after a while, as scripts do it: whether there is a new one or not."""
        self.render()
        old = self.pid()
        self.signal(signal.SIGUSR2)
        try:
            self.wait("there is a new master", lambda: self.pid() not in (old, None), 2)
        except BedError:
            pass
        os.kill(old, signal.SIGQUIT)
