"""One scenario, from the first release to what everybody said about the second."""
import base64, datetime, http.client, json, os, select, shlex, signal, socket, subprocess, sys, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../Beds"))
from deploys_bed.servers import SERVERS
from deploys_bed.service import PASSWORD, BedError

EXIT_CODES = {
    "VERIFIED": 0, "STALE": 1, "MIXED": 3, "DOWN": 4, "CRASH_LOOP": 5, "NEW_PROCESS_OLD_CODE": 6, "DYNAMIC_TOKEN": 7, "UNPROVEN": 8,
    "IN_PROGRESS": 9, "UNREACHABLE": 10, "SLO_BREACHED": 11,
}
# The worst verdict of several wins.
ORDER = [
    "DOWN", "CRASH_LOOP", "STALE", "MIXED", "NEW_PROCESS_OLD_CODE", "DYNAMIC_TOKEN", "UNREACHABLE", "UNPROVEN", "IN_PROGRESS", "SLO_BREACHED",
    "VERIFIED"]
TOO_LONG = 3  # seconds after which a request counts as hanging
SWEEP, TURNS = 2.3, 35


class StoryError(Exception):
    pass


def token():
    return os.urandom(16).hex()


class Ends:
    """When processes of servers end, to the millisecond: of those that are there, and of those that are found later."""

    def __init__(self, services):
        self.at = {}
        self._services, self._known, self._files = services, set(), {}
        self._poll = select.poll()
        self._find()
        threading.Thread(target=self._wait, daemon=True).start()

    def _find(self):
        for pid in {pid for service in self._services for pid in service.processes()} - self._known:
            self._known.add(pid)
            try:
                file = os.pidfd_open(pid)
            except OSError:
                continue
            self._files[file] = pid
            self._poll.register(file, select.POLLIN)

    def _wait(self):
        looked = time.monotonic()
        while True:
            for file, _ in self._poll.poll(50):
                self.at[self._files.pop(file)] = time.monotonic()
                self._poll.unregister(file)
                os.close(file)
            # Every end is looked for; who comes is of interest only when it goes.
            if time.monotonic() - looked >= 0.05:
                self._find()
                looked = time.monotonic()


class Poll(threading.Thread):
    """What many deploy scripts do: ask every half second until the new token is there."""

    def __init__(self, port, token, timeout):
        super().__init__(daemon=True)
        self.port, self.token, self.timeout = port, token, timeout
        self.ok, self.at = False, None

    def run(self):
        credential = base64.b64encode(f"about:{PASSWORD}".encode()).decode()
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline and not self.ok:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=max(0.1, deadline - time.monotonic()))
                connection.request("GET", "/about/deploy", headers={"Authorization": "Basic " + credential})
                answer = connection.getresponse()
                self.ok = answer.status == 200 and answer.read().decode(errors="replace") == self.token
                connection.close()
            except (OSError, http.client.HTTPException):
                pass
            self.at = time.monotonic()
            if not self.ok:
                time.sleep(max(0, min(0.5, deadline - time.monotonic())))


class Story:
    def __init__(self, scenario, folder, programs):
        self.scenario, self.folder, self.programs = scenario, folder, programs
        self.services, self.front, self.agent, self.prober, self.stranger = [], None, None, None, None
        self.deploys, self.target, self.token, self.held = {}, "1", None, []
        self.marks = {}

    def run(self):
        try:
            self.begin()
            steps = self.scenario.steps.split()
            self.acted = None
            for step in steps:
                self.do(step)
            return self.judge()
        finally:
            self.end()

    def path(self, *names):
        return os.path.join(self.folder, *names)

    # The world before the deploy

    def begin(self):
        scenario = self.scenario
        os.makedirs(self.folder)
        for number in range(scenario.backends):
            service = SERVERS[scenario.server](self.path(self.unit(number)), scenario.options.split())
            os.makedirs(service.folder)
            self.services.append(service)
            if scenario.shared and number > 0:
                service.share(self.services[0])
            else:
                service.release("1", scenario.old_traits.split())
                service.write("releases/1/TOKEN", token())
                service.switch("1")
            service.start()
        self.port = self.services[0].port
        if scenario.front:
            front, *options = scenario.front.split()
            ports = ",".join(str(service.port) for service in self.services)
            backend = self.services[0].path("socket") if self.services[0].options.get("unix") else f"127.0.0.1:{self.port}"
            self.front = SERVERS[front](self.path("front"), ["backends=" + ports if front == "haproxy" else "backend=" + backend, *options])
            os.makedirs(self.front.folder)
            self.front.release("1")
            self.front.switch("1")
            self.front.start()
            self.port = self.front.port
        self.password = self.services[0].path("password")
        if scenario.wrong_password:
            self.services[0].write("wrong-password", "incorrect-horse\n", mode=0o600)
        if self.programs and scenario.agent:
            self.start_agent()
        # The agent has to have seen its units once, and HAProxy answers a moment before it obeys signals.
        time.sleep(1)
        self.prober = subprocess.Popen(
            [sys.executable, HERE + "/prober.py", str(self.port), self.path("answers"), *self.services[0].users(), *shlex.split(scenario.users)])

    def unit(self, number):
        return f"web{number + 1}"

    def start_agent(self):
        os.makedirs(self.path("agent/services.d"))
        with open(self.path("agent/rollcall.conf"), "w") as file:
            file.write(f'set state_directory "{self.path("agent/state")}"\nset socket "{self.path("agent/socket")}"\nset cycle_time 1\n')
        for number, service in enumerate(self.services):
            with open(self.path("agent/services.d", self.unit(number) + ".inq"), "w") as file:
                file.write(self.rule(self.unit(number), service))
        with open(self.path("agent/log"), "wb") as log:
            self.agent = subprocess.Popen(
                [self.programs + "/rollcall-agent", "--config", self.path("agent")], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while not os.path.exists(self.path("agent/deploy.sock")):
            if self.agent.poll() is not None or time.monotonic() > deadline:
                with open(self.path("agent/log")) as log:
                    raise StoryError("the agent does not start: " + log.read()[-1000:])
            time.sleep(0.02)

    def rule(self, unit, service):
        path = service.path("pid")
        if self.scenario.pidfile:
            path = service.path("pid-of-the-rule")
            service.write("pid-of-the-rule", self.scenario.pidfile + "\n")
        more = f", {self.scenario.rule}" if self.scenario.rule else ""
        return f'check service {unit} with pidfile "{path}"{more}\n'.replace(
            "PASSWORD_FILE", service.path("password")).replace("CURRENT", service.path("current"))

    # The deploy

    def do(self, step):
        word, _, value = step.partition("=")
        call = getattr(self, "step_" + word.replace("-", "_"), None)
        if call:
            call(*([value] if value else []))
            return
        if self.acted is None:
            self.mark_start_of_action()
        reached = self.services[:-1] if self.scenario.forgotten else self.services
        for service in reached:
            getattr(service, word.replace("-", "_"))()

    def mark_start_of_action(self):
        self.acted = time.monotonic()
        self.ends = Ends(self.services)
        self.boots_before = [len(service.boots()) for service in self.services]

    def step_release(self):
        self.target = "2"
        for service in self.folders():
            service.release("2", self.scenario.traits.split())

    def step_rewrite(self):
        for service in self.folders():
            service.release("1", self.scenario.traits.split())

    def folders(self):
        """Servers with releases of their own."""
        return self.services[:1] if self.scenario.shared else self.services

    def step_prepare(self):
        in_place = ["--in-place"] if os.path.basename(os.path.realpath(self.services[0].path("current"))) == self.target else []
        if not self.programs or not self.scenario.agent:
            self.token = token()
            for service in self.services:
                service.write(f"releases/{self.target}/TOKEN", self.token)
            return
        for number, service in enumerate(self.services):
            words = ["prepare", "--service", self.unit(number), "--release", service.path("releases", self.target), *in_place]
            words += ["--url", self.url(number)] if self.scenario.asks_url else []
            words += [] if self.scenario.rule else ["--token-path", "/about/deploy"]
            words += ["--user", "about", "--password-file", self.password]
            words += ["--agent-socket", self.path("agent/deploy.sock")]
            words += ["--token", self.token] if self.token and not self.scenario.shared else []
            words += self.scenario.prepare.split()
            done = subprocess.run([self.programs + "/verify-token", *words, "--print", "id"], capture_output=True, text=True, timeout=30,
                env=self.environment())
            if done.returncode != 0:
                raise StoryError(f"verify-token {words[0]}: exit code {done.returncode}: {(done.stdout + done.stderr).strip()}")
            self.deploys[number] = done.stdout.strip()
            with open(service.path("releases", self.target, "TOKEN")) as file:
                self.token = file.read().strip()

    def step_token(self):
        """What scripts do that never call `prepare`: the token is written, and no more is known of the time before."""
        self.token = token()
        for number, service in enumerate(self.services):
            service.write(f"releases/{self.target}/TOKEN", self.token)
            self.deploys[number] = None

    def url(self, number):
        """Where one server is asked alone: one behind a Unix socket at its proxy."""
        service = self.services[number]
        return f"{service.SCHEME}://127.0.0.1:{self.port if service.options.get('unix') else service.port}{self.scenario.path}"

    def environment(self):
        """verify-token keeps what it has prepared here."""
        return {**os.environ, "XDG_STATE_HOME": self.path("state")}

    def step_switch(self, name=None):
        for service in self.services:
            service.switch(name or self.target)

    def step_other(self):
        for service in self.folders():
            service.release("3")

    def step_back(self):
        self.target = "1"

    def step_prune(self):
        for service in self.services:
            service.prune("1")

    def step_hide_token(self):
        for service in self.services:
            os.rename(service.path("releases", self.target, "TOKEN"), service.path("hidden"))

    def step_put_token(self):
        for service in self.services:
            os.rename(service.path("hidden"), service.path("releases", self.target, "TOKEN"))

    def step_stuck(self, seconds):
        self.hold(f"/slow?s={seconds}")

    def step_download(self):
        self.hold("/large")

    def hold(self, path):
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        self.held.append(connection)
        time.sleep(0.3)

    def step_poll(self):
        """Somebody asks for the token before the deploy, as a poll of the last one does."""
        credential = base64.b64encode(f"about:{PASSWORD}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/about/deploy", headers={"Authorization": "Basic " + credential})
        connection.getresponse().read()
        connection.close()

    def step_stranger(self):
        self.stranger = subprocess.Popen(
            [sys.executable, HERE + "/stranger.py", str(self.services[0].port), self.path("given")], stdout=subprocess.PIPE, text=True)
        self.stranger.stdout.readline()

    def given(self):
        """How often somebody else's server was sent the password."""
        try:
            with open(self.path("given")) as file:
                return len(file.readlines())
        except FileNotFoundError:
            return 0

    def step_wait(self, seconds):
        time.sleep(float(seconds))

    def step_loaded(self):
        for service, before in zip(self.services, self.boots_before):
            service.wait("new code is loaded", lambda: len(service.boots()) >= before + service.workers)
        time.sleep(0.3)

    # What everybody says

    def judge(self):
        scenario = self.scenario
        if self.acted is None:
            self.mark_start_of_action()
        began = time.monotonic()
        poll = Poll(self.port, self.token, scenario.timeout)
        poll.start()
        used = self.processor_time_of_agent()
        checks = [threading.Thread(target=self.check, args=[number]) for number in self.checked()]
        for check in checks:
            check.start()
        for check in checks:
            check.join()
        used = self.processor_time_of_agent() - used
        if all(mark["code"] == 0 for mark in self.marks.values()) and self.marks:
            self.prober.send_signal(signal.SIGUSR1)
        poll.join()
        time.sleep(scenario.observe)
        swept = time.monotonic()
        alive = [pid for service in self.services for pid in service.processes()]
        self.sweep(swept)
        self.prober.terminate()
        self.prober.wait(20)
        ended = time.monotonic()
        asked = self.answers()
        new = {service.loaded_release(self.target) for service in self.services}
        result = {
            "name": scenario.name, "truth": truth([one for one in asked if swept <= one[0] < ended - 0.1], new, ended),
            "poll": self.told(poll.ok, poll.at, began, asked, new, ended, swept),
            "stall": round(max((end - start for start, end, _ in asked if start >= self.acted - 0.5), default=0), 2),
            "failed": sum(1 for start, _, answer in asked if answer.startswith("!") and "yet" not in answer and start >= self.acted - 0.5),
            "asked": len(asked), "given": self.given()}
        if self.marks:
            worst = min(self.marks.values(), key=lambda mark: ORDER.index(mark["verdict"]) if mark["verdict"] in ORDER else -1)
            at = max(mark["at"] for mark in self.marks.values())
            result["check"] = self.told(worst["code"] == 0, at, began, asked, new, ended, swept)
            result["check"].update(
                verdict=worst["verdict"], code=worst["code"], reasons=worst["reasons"], json=[mark["json"] for mark in self.marks.values()],
                errors=" ".join(mark["errors"] for mark in self.marks.values()), agent=round(used / max(0.01, at - began), 3))
            if worst["code"] == 0:
                turned = max(began, self.last_turn(at, alive) + scenario.settle)
                result["check"]["latency"] = round(at - turned, 3)
                # Of it, what the agents took; the rest is the URL and the program.
                told = [told for mark in self.marks.values() if (told := verdict_of_agent(mark["json"])) is not None]
                if told:
                    result["check"]["agent_latency"] = round(max(told) - turned, 3)
        return result

    def sweep(self, began):
        """Lets the prober look closely, for longer where the machine holds it up."""
        self.prober.send_signal(signal.SIGUSR1)
        time.sleep(SWEEP)
        while sum(1 for start, _, answer in self.lines() if answer == "turn" and start >= began) < TURNS and time.monotonic() < began + 30:
            time.sleep(0.3)

    def checked(self):
        if not self.programs:
            return []
        return sorted(self.deploys) if self.scenario.agent else [0]

    def processor_time_of_agent(self):
        """In seconds, exact to a tick."""
        if not self.agent:
            return 0
        with open(f"/proc/{self.agent.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def check(self, number):
        scenario = self.scenario
        password = self.services[0].path("wrong-password") if scenario.wrong_password else self.password
        words = ["check", "--user", "about", "--password-file", password]
        if scenario.agent:
            known = ["--deploy", self.deploys[number]] if self.deploys[number] else ["--token", self.token, "--service", self.unit(number)]
            words += [*known, "--agent-socket", self.path("agent/deploy.sock")]
            words += [] if self.deploys[number] or scenario.rule else ["--token-path", "/about/deploy"]
        else:
            words += ["--token", self.token, "--url", f"{self.services[0].SCHEME}://127.0.0.1:{self.port}{scenario.path}"]
        words += ["--timeout", f"{scenario.timeout}s", "--settle", f"{scenario.settle}s", "--watch", f"{scenario.watch}s", "--json"]
        words += scenario.check.split()
        try:
            done = subprocess.run(
                [self.programs + "/verify-token", *words], capture_output=True, text=True, timeout=scenario.timeout + scenario.watch + 20,
                env=self.environment())
            code, output, errors = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired as late:
            code, output, errors = -1, "", f"still running after {late.timeout} s"
        at = time.monotonic()
        try:
            said = json.loads(output.strip().splitlines()[-1] if output.strip().startswith('{"') else output)
        except (ValueError, IndexError):
            said = {}
        verdict = said.get("verdict") or said.get("state") or "?"
        self.marks[number] = {"at": at, "code": code, "verdict": verdict, "reasons": list(reasons(said)), "json": said, "errors": errors[-1500:]}

    def told(self, ok, at, began, asked, new, ended, swept):
        """Who said that all is well is measured by the requests that came after that."""
        wrong = [one for one in asked if one[0] >= at and is_wrong(one, new, ended)] if ok else []
        return {
            "ok": ok, "seconds": round(at - began, 2), "since_action": round(at - self.acted, 2), "wrong_after": len(wrong),
            "last_wrong": round(max((one[0] for one in wrong), default=at) - at, 2), "examples": [one[2] for one in wrong[:3]]}

    def last_turn(self, at, alive):
        """When the last worker became new: it was started, its code was loaded, and the last old process had ended."""
        turns = [self.acted]
        for service, before in zip(self.services, self.boots_before):
            turns += [boot[0] for boot in service.boots()[before:] if boot[0] <= at]
        turns += [end for end in self.ends.at.values() if end <= at]
        turns += [start for start in map(started, alive) if start is not None and start <= at]
        return max(turns)

    def lines(self):
        with open(self.path("answers")) as file:
            lines = [line.rstrip("\n").split(" ", 2) for line in file if line.endswith("\n")]
        return sorted((float(line[0]), float(line[1]), line[2]) for line in lines if len(line) == 3)

    def answers(self):
        return [line for line in self.lines() if line[2] != "turn"]

    def end(self):
        for connection in self.held:
            connection.close()
        for process in [self.prober, self.agent, self.stranger]:
            if process and process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        for service in [self.front, *self.services]:
            if service:
                service.stop()


def verdict_of_agent(said):
    """When the last agent had its verdict, on the monotonic clock; None when none was asked."""
    since = [datetime.datetime.fromisoformat(host["since"]).timestamp() for host in said.get("hosts") or []]
    return max(since) - (time.time() - time.monotonic()) if since else None


def reasons(said):
    """All reasons, of the whole, of each host and of each process."""
    if isinstance(said, dict):
        for name, value in said.items():
            if name == "reasons" and isinstance(value, list):
                yield from map(str, value)
            elif name == "reason" and isinstance(value, str):
                yield value
            elif isinstance(value, (dict, list)):
                yield from reasons(value)
    elif isinstance(said, list):
        for one in said:
            yield from reasons(one)


def is_wrong(one, new, ended):
    start, end, answer = one
    if "no answer yet" in answer:
        return ended - start > TOO_LONG
    return answer.startswith("!") or answer.split()[1] not in new or end - start > TOO_LONG


def truth(asked, new, ended):
    settled = [one for one in asked if "no answer yet" not in one[2] or ended - one[0] > SWEEP / 2]
    if not settled:
        return "unseen"
    if any(one[2].startswith("!") for one in settled):
        return "down"
    releases = {one[2].split()[1] in new for one in settled}
    return "mixed" if len(releases) == 2 else "new" if True in releases else "old"


def started(pid):
    """When a process was started, on the monotonic clock; exact to a tick."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
    except (OSError, IndexError):
        return None
    sleeping = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    return ticks / os.sysconf("SC_CLK_TCK") - sleeping
