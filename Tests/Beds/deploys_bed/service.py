"""A server with releases, whichever it is: its folder, its processes, what all of them understand."""
import http.client, os, random, shutil, signal, socket, ssl, subprocess, sys, time

from . import groups

HERE = os.path.dirname(os.path.abspath(__file__))
PASSWORD = "correct-horse"


class BedError(Exception):
    pass


class Service:
    """One server below one folder. Each kind of server is a subclass; its public methods with a docstring are the deploy actions.

    An option is WORD or WORD=VALUE; OPTIONS says which of them a server knows, and what they are when nobody gives them.
    """

    # Beside `group`, which is `own` or `none`: whether its processes get a control group of their own, where the machine allows it.
    OPTIONS = {}
    SCHEME = "http"
    SECONDS_TO_START = 30

    def __init__(self, folder, options=()):
        self.folder = os.path.realpath(folder)
        self._keeper = None
        self.options = {"group": "own", **self.OPTIONS}
        for option in options:
            name, _, value = option.partition("=")
            if name not in self.options:
                raise BedError(f"{type(self).__name__} has no option {name}; it has {' '.join(sorted(self.options))}")
            self.options[name] = value or True

    # What a deploy tool does.

    def share(self, other):
        """It runs the releases of another server: a service of several kinds of processes, as web and jobs are."""
        for name in ("releases", "current"):
            os.symlink(other.path(name), self.path(name))

    def release(self, name, traits=()):
        """Makes a release, or writes new code over an old one, whose token file stays as it is."""
        os.makedirs(self.path("releases", name), exist_ok=True)
        code_name = self.code_name(name)
        for source in os.listdir(HERE + "/app"):
            with open(f"{HERE}/app/{source}") as file:
                code = file.read()
            self.write(f"releases/{name}/{source}", code.replace("@RELEASE@", code_name))
        self.write(f"releases/{name}/TRAITS", " ".join(traits) + "\n")
        self.write(f"releases/{name}/CODE", code_name + "\n")

    def code_name(self, name):
        """What new code in a release calls itself: code that is written over older code has a name of its own."""
        try:
            with open(self.path("releases", name, "CODE")) as file:
                return file.read().strip() + "'"
        except FileNotFoundError:
            return name

    def loaded_release(self, name):
        """What the code calls itself that lies in a release."""
        with open(self.path("releases", name, "CODE")) as file:
            return file.read().strip()

    def current_release(self):
        """What the code in `current` calls itself, and its token."""
        release = self.path("current")
        name = self.loaded_release(os.path.basename(os.path.realpath(release)))
        try:
            with open(release + "/TOKEN") as file:
                return name, file.read().strip()
        except FileNotFoundError:
            return name, "none"

    def switch(self, name):
        """Points `current` to a release, in one step."""
        # One that shares another's folders has no link to point.
        if os.path.islink(self.path("releases")):
            return
        os.symlink(f"releases/{name}", self.path("current.new"))
        os.rename(self.path("current.new"), self.path("current"))

    def prune(self, name):
        """Takes a release away, as `keep_releases` does."""
        shutil.rmtree(self.path("releases", name))

    def terminate(self):
        """TERM: the server ends."""
        self.signal(signal.SIGTERM)
        self.wait("it has ended", lambda: not self.processes(), 20)

    def cold_restart(self):
        """The server is stopped and started again."""
        self.terminate()
        self.signal(signal.SIGUSR1, "keeper")

    # Its life.

    def start(self, detached=False):
        """Starts it under a keeper, and returns when it answers. It ends with this process, unless it is detached."""
        if not os.path.exists(self.path("port")):
            self.write("port", str(free_port()))
        self.write("password", PASSWORD + "\n", mode=0o600)
        self.configure()
        words = [sys.executable, HERE + "/keeper.py", self.folder, self.start_folder(), self.options["group"], "-" if detached else "lifeline"]
        with open(self.path("log"), "ab") as log:
            self._keeper = subprocess.Popen(
                words + self.command(), stdin=subprocess.DEVNULL if detached else subprocess.PIPE, stdout=log, stderr=log,
                env=self.environment(), start_new_session=True)
        self.write("keeper", f"{self._keeper.pid}\n")
        deadline = time.monotonic() + self.SECONDS_TO_START
        # All of them: a worker that is late would load what `current` points to by then.
        while not self.answers() or not self.pid() or len(self.boots()) < self.loads_at_start():
            if self._keeper.poll() is not None or time.monotonic() > deadline:
                with open(self.path("log"), errors="replace") as log:
                    raise BedError(f"{type(self).__name__} does not answer: {log.read()[-2000:]}")
            time.sleep(0.05)

    def stop(self):
        """Ends every process that came from it; the keeper knows them all."""
        keeper = self.pid("keeper")
        if keeper is None:
            return
        try:
            os.kill(keeper, signal.SIGTERM)
        except ProcessLookupError:
            pass
        if self._keeper:
            self._keeper.wait(20)
        else:
            self.wait("its keeper ends", lambda: not os.path.exists(f"/proc/{keeper}"), 20)
        os.unlink(self.path("keeper"))

    def answers(self):
        return self.get("/") is not None

    def users(self):
        """How its users ask it: options of the prober."""
        return [f"--{option}" for option in ("tls", "proxied") if self.options.get(option)]

    def get(self, path, timeout=2):
        """The body of an answer with status 200, or None."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
            connection.connect()
            if self.options.get("proxied"):
                connection.sock.sendall(f"PROXY TCP4 127.0.0.1 127.0.0.1 40000 {self.port}\r\n".encode())
            if self.options.get("tls"):
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                connection.sock = context.wrap_socket(connection.sock)
            try:
                connection.request("GET", path, headers={"Connection": "close"})
                answer = connection.getresponse()
                return answer.read().decode() if answer.status == 200 else None
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return None

    def certificate(self):
        """A self-signed certificate, and its key."""
        paths = self.path("certificate.pem"), self.path("key.pem")
        if not os.path.exists(paths[0]):
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                 "/CN=app.example.com", "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
        return paths

    # For the subclasses.

    def configure(self):
        """Writes the server's configuration."""

    def command(self):
        raise NotImplementedError

    def start_folder(self):
        return self.path("current") if self.options.get("pwd") else os.path.realpath(self.path("current"))

    def environment(self):
        # PWD is how a shell in a folder behind a link tells the programs that it starts how it came there. Several servers believe it.
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.folder, "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "BED": self.folder}
        if self.options.get("pwd"):
            environment["PWD"] = self.path("current")
        return environment

    def loads_at_start(self):
        """How often it loads its code when it starts: in every worker, or once before the workers are forked."""
        return 1 if self.options.get("preload") else max(1, self.workers)

    @property
    def port(self):
        with open(self.path("port")) as file:
            return int(file.read())

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/about/deploy"

    @property
    def workers(self):
        return int(self.options["workers"])

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text, mode=0o644):
        with open(self.path(name + ".new"), "w") as file:
            file.write(text)
        os.chmod(self.path(name + ".new"), mode)
        os.rename(self.path(name + ".new"), self.path(name))

    def pid(self, name="pid"):
        try:
            with open(self.path(name)) as file:
                return int(file.read())
        except (FileNotFoundError, ValueError):
            return None

    def signal(self, number, name="pid"):
        os.kill(self.pid(name), number)

    def wait(self, what, condition, seconds=15):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise BedError(f"waited {seconds} s in vain until {what}")
            time.sleep(0.02)

    def boots(self):
        """(when, pid, release, token) of every time that code was loaded."""
        try:
            with open(self.path("boots")) as file:
                lines = [line.split() for line in file]
        except FileNotFoundError:
            return []
        return [(float(line[0]), int(line[1]), line[2], line[3]) for line in lines]

    def processes(self):
        """The pids of everything that came from it."""
        keeper = self.pid("keeper")
        return groups.descendants(keeper) if keeper else []


def free_port():
    """A port that no client of this machine gets by chance, as it might get one that the kernel hands out."""
    for port in random.sample(range(20000, 32000), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise BedError("no free port between 20000 and 32000")
