"""A host to deploy to: a real systemd with sshd, sudo, polkit, an agent under its own unit, and one application behind a real server."""
import pathlib, re, shutil, tarfile, time

from .harness import RECIPES, ROOT, run

HERE = pathlib.Path(__file__).resolve().parent
SYSTEMD = HERE.parent / "systemd"
URL = "http://127.0.0.1:8080"


class HostError(Exception):
    pass


class Host:
    """The host is gone when the block ends. Every address is on its own loopback, every path in a copy of this machine's files."""

    def __init__(self, programs, folder):
        self.programs = pathlib.Path(programs)
        self.bed = folder / "bed"
        self.shared = folder / "shared"
        self.shared.mkdir()
        self.shared.chmod(0o755)

    def __enter__(self):
        units = self.shared / "units"
        units.mkdir()
        shutil.copy(ROOT / "init/systemd/rollcall-agent.service", units)
        places = [self.programs, ROOT / "recipes", ROOT / "init", HERE, self.shared]
        words = [word for place in places for word in ("-b", place)]
        self._must(SYSTEMD, "start", "-d", self.bed, "-u", units, *words)
        try:
            self.must(HERE / "setup", ROOT, self.programs)
            self.until("the agent answers", lambda: self.run("test", "-S", "/run/rollcall-agent/deploy.sock")[0] == 0)
        except Exception:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._must(SYSTEMD, "stop", "-d", self.bed)

    # Commands on the host

    def run(self, *command, user="root", folder=None, **environment):
        home = "/root" if user == "root" else f"/home/{user}"
        words = ["env", "-i", "-C", folder or home, f"HOME={home}", f"USER={user}", "LC_ALL=C.UTF-8",
                 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        words += [f"{name}={value}" for name, value in environment.items()]
        who = [] if user == "root" else ["runuser", "-u", user, "--"]
        return run(SYSTEMD, "enter", "-d", self.bed, *who, *words, *command, timeout=120)

    def must(self, *command, **options):
        status, output = self.run(*command, **options)
        if status != 0:
            raise HostError(f"{' '.join(str(word) for word in command)} ended with {status}: {output[-2000:]}")
        return output

    def _must(self, *command):
        status, output = run(*command, timeout=120)
        if status != 0:
            raise HostError(f"{command[1]}: {output[-2000:]}")

    def until(self, what, condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise HostError(f"waited {seconds} s in vain until {what}")
            time.sleep(0.05)

    def write(self, path, text, mode="644", owner="root"):
        (self.shared / "file").write_text(text)
        self.must("install", "-D", "-m", mode, "-o", owner, "-g", owner, self.shared / "file", path)

    # The application

    def archive(self, version):
        """A build of the application. One whose version begins with `broken` does not boot."""
        build = self.shared / version
        if not build.exists():
            shutil.copytree(HERE / "app", build)
            for folder, names in {"config": ["servers/puma.rb", "servers/unicorn.rb"], "lib": ["endpoints/deploy_token.rb"], ".": ["endpoints/deploy_token.py"]}.items():
                (build / folder).mkdir(exist_ok=True)
                for name in names:
                    shutil.copy(RECIPES / name, build / folder)
            (build / "VERSION").write_text(version + "\n")
            (build / "site.conf").write_text("no such directive;\n" if version.startswith("broken") else f"location = / {{ return 200 {version}; }}\n")
            with tarfile.open(self.shared / f"{version}.tar.gz", "w:gz") as archive:
                archive.add(build, ".")
        return self.shared / f"{version}.tar.gz"

    def serve(self, unit, reload=None):
        """A service `web` (or nginx) that runs version `first`. With `reload` that is all that its reload does."""
        self.run("systemctl", "stop", "web", "nginx")
        self.must("sh", "-c", "rm -rf /srv/app/* /etc/systemd/system/web.service*")
        self.must("install", "-d", "-o", "deploy", "-g", "deploy", "/srv/app/releases")
        self.unpack("first", "20200101000000")
        self.must("ln", "-sfn", "/srv/app/releases/20200101000000", "/srv/app/current", user="deploy")
        if unit != "nginx":
            self.must("cp", RECIPES / f"units/{unit}.service", "/etc/systemd/system/web.service")
        else:
            self.must("sh", "-c", "echo 'return 200 none;' > /srv/app/current/token-nginx.conf", user="deploy")
        if reload:
            self.write("/etc/systemd/system/web.service.d/reload.conf", f"[Service]\nExecReload=\nExecReload={reload}\n")
        self.start("nginx" if unit == "nginx" else "web")

    def start(self, service):
        self.must("systemctl", "daemon-reload")
        self.must("systemctl", "reset-failed")
        self.must("systemctl", "start", service)
        self.until("all its workers answer", lambda: self.versions() == {"first"})
        # nginx stands in no release.
        process = rf"{service}\S*\s+\d+" + ("" if service == "nginx" else ".*/20200101000000")
        self.until("the agent has seen it", lambda: re.search(process, self.run("verify-token", "status", "--service", service)[1]))

    def unpack(self, version, release):
        folder = f"/srv/app/releases/{release}"
        self.archive(version)
        self.must("mkdir", folder, user="deploy")
        self.must("tar", "-xzf", self.archive(version), "-C", folder, user="deploy")
        return folder

    def versions(self):
        """What 20 fresh requests are answered by."""
        words = ["-s", "-m", "5", "-H", "Connection: close", "-w", "\\n", f"{URL}/?[1-20]"]
        status, output = self.run("curl", *words)
        return set(output.split()) if status == 0 else {"nobody"}

    def current(self):
        """The version that a restart would start."""
        return self.run("cat", "/srv/app/current/VERSION")[1].strip()

    def releases(self):
        return self.must("ls", "/srv/app/releases").split()
