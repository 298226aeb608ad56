#!/usr/bin/env python3
"""Measures rollcall-agent beside what Debian packages for the same job: in one run, on the same processes, at a cycle of 1 s.

Each program watches 50 and then 500 processes that sleep. Measured are: its CPU time a cycle (the scheduler's own count, in
nanoseconds, of all threads that it has or had), again with 2,000 more processes that nobody watches, its memory once it has
settled, its threads, how often it wakes up, and how long it takes from `kill -9` until it says so. At the end all processes are
killed at once: every event has to arrive, and none twice. It needs root, and ends everything that it started, by pid.
"""
import argparse, datetime, math, os, platform, random, re, shutil, signal, sqlite3, statistics, subprocess, sys, tempfile, threading, time
import collections, http.client, json, socket

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BED = os.path.join(ROOT, "Tests/Beds/systemd")
SLEEP = 100_000_000  # seconds; a target's number is added, so that its command line is its own


def words_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def descendants(pid):
    """The process and everything below it."""
    parents = {}
    for other in all_pids():
        try:
            with open(f"/proc/{other}/stat") as file:
                parents.setdefault(int(file.read().rpartition(")")[2].split()[1]), []).append(other)
        except (OSError, IndexError):
            pass
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += parents.get(one, [])
    return found


def wait_until(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.05)
    return value


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Program:
    """A started program whose lines are noted with the time at which they came."""

    def __init__(self, command, **options):
        self.lines, self.changed = [], threading.Condition()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0, **options)
        self.pid = self.process.pid
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        rest = b""
        while True:
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            now = time.monotonic()
            if not piece:
                return
            *whole, rest = (rest + piece).split(b"\n")
            with self.changed:
                self.lines += [(now, line.decode(errors="replace")) for line in whole]
                self.changed.notify_all()

    def heard(self, pattern, since, seconds):
        """When a line came that matches, or None."""
        end, seen = time.monotonic() + seconds, 0
        with self.changed:
            while True:
                for at, line in self.lines[seen:]:
                    if at >= since and pattern.search(line):
                        return at
                seen = len(self.lines)
                if time.monotonic() >= end or not self.changed.wait(end - time.monotonic()):
                    return None

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Targets:
    """Processes to watch, with their pid files."""

    def __init__(self, count, folder):
        self.folder, self.sleepers = folder, {}
        os.makedirs(folder, exist_ok=True)
        for number in range(count):
            self.start(number)

    def file(self, number):
        return f"{self.folder}/{number}.pid"

    def start(self, number):
        self.sleepers[number] = subprocess.Popen(["sleep", str(SLEEP + number)])
        with open(self.file(number), "w") as file:
            file.write(f"{self.sleepers[number].pid}\n")

    def pid(self, number):
        return self.sleepers[number].pid

    def kill(self, number):
        self.sleepers[number].kill()
        self.sleepers[number].wait()

    def restore(self):
        for number, sleeper in list(self.sleepers.items()):
            if sleeper.poll() is not None:
                self.start(number)

    def end(self):
        for sleeper in self.sleepers.values():
            if sleeper.poll() is None:
                sleeper.kill()
        for sleeper in self.sleepers.values():
            sleeper.wait()


class Crowd:
    """Processes that nobody watches."""

    def __init__(self, count):
        self.sleepers = [subprocess.Popen(["sleep", str(SLEEP // 2)]) for _ in range(count)]

    def end(self):
        for sleeper in self.sleepers:
            sleeper.kill()
        for sleeper in self.sleepers:
            sleeper.wait()


# What a process has used


def used(pid):
    """Seconds of CPU time, of all threads that it has or had (its CPU clock, see clock_getcpuclockid(3)) and of the children that it has
    waited for, which are counted in hundredths of a second."""
    nanoseconds = time.clock_gettime_ns(~pid << 3 | 2)
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return nanoseconds / 1e9 + (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def wakeups(pid):
    count = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/status") as file:
                count += sum(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt"))
        except OSError:
            pass
    return count


def memory(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        lines = dict(line.split()[:2] for line in file if line.split()[1].isdigit())
    return int(lines["Rss:"]) / 1024, int(lines["Pss:"]) / 1024


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


# The programs: each is a context that starts one, and knows how to hear of a death


class Watcher:
    name, note = "", ""
    counts_kills = True
    # Whether it sends its events to somebody who can count them.
    counts_events = False

    def __init__(self, targets, folder, options):
        self.targets, self.folder, self.options = targets, folder, options
        os.makedirs(folder, exist_ok=True)
        self.programs = []

    def write(self, name, text, mode=0o600):
        path = f"{self.folder}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def run(self, *command, **options):
        program = Program(list(command), **options)
        self.programs.append(program)
        return program

    def pid(self):
        return self.programs[-1].pid

    def kill(self, number):
        self.targets.kill(number)

    def kill_soon(self, number):
        """Without waiting for its end."""
        self.targets.sleepers[number].kill()

    def restored(self, targets):
        """What was killed runs again."""

    def heard(self, number, since, seconds):
        return self.programs[-1].heard(self.pattern(number), since, seconds)

    def end(self):
        for program in reversed(self.programs):
            program.end()


class Agent(Watcher):
    name = "rollcall-agent"
    note = "pid files; reports over verified TLS, HTTPS endpoint on"
    counts_events = True

    def start(self):
        self.start_aggregator()
        for number in self.targets.sleepers:
            self.write(
                f"etc/services.d/{number}.inq",
                f"check service svc-{number} with pidfile {self.targets.file(number)}\n"
                "  if cpu:total > 400% for 5 cycles then alert\n  if memory:rss > 1g for 5 cycles then alert\n")
        self.write("etc/rollcall.conf", self.settings())
        self.run(f"{self.options.programs}/rollcall-agent", "--config", f"{self.folder}/etc")

    def settings(self):
        secret = self.write("password", "correct horse battery\n")
        return "\n".join([
            "set cycle_time 1", "set hostname bench", "set log_level info", f"set state_directory {self.folder}/state",
            f"set listen 127.0.0.1:{free_port()}", "set listen_user deploy", f"set listen_password_file {secret}",
            f"set listen_certificate_file {self.folder}/cert.pem", f"set listen_key_file {self.folder}/key.pem",
            f"set aggregator https://localhost:{self.port}", f"set aggregator_token_file {self.folder}/token",
            f"set aggregator_ca_file {self.folder}/cert.pem", ""])

    def start_aggregator(self):
        self.port = free_port()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost", "-keyout", f"{self.folder}/key.pem", "-out", f"{self.folder}/cert.pem"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.makedirs(f"{self.folder}/state", mode=0o700, exist_ok=True)
        os.chmod(f"{self.folder}/key.pem", 0o600)
        file = self.write(
            "aggregator.yaml",
            f"listen: 127.0.0.1:{self.port}\ndatabase: {self.folder}/aggregator.sqlite\n"
            f"certificate_file: {self.folder}/cert.pem\nkey_file: {self.folder}/key.pem\n")
        aggregator = self.options.aggregator
        token = subprocess.run([aggregator, "add-agent", "bench", "--config", file], check=True, capture_output=True, text=True).stdout
        self.write("token", token)
        self.run(aggregator, "run", "--config", file)
        wait_until("the aggregator listens", lambda: self.listens())

    def listens(self):
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def pattern(self, number):
        return re.compile(rf" event .*\bunit=svc-{number}(\.service)?( |$)")

    def events_after(self, last):
        """What the aggregator has stored since: the highest id, and how often a death of each unit was told."""
        with sqlite3.connect(f"file:{self.folder}/aggregator.sqlite?mode=ro", uri=True, timeout=10) as database:
            rows = database.execute("SELECT id, unit, body FROM events WHERE id > ? ORDER BY id", (last,)).fetchall()
        deaths = collections.Counter(unit for _, unit, body in rows if json.loads(body).get("kind") in ("unit_down", "unit_restarted"))
        return (rows[-1][0] if rows else last), deaths


class AgentOnSystemd(Agent):
    note = "units of a real systemd; reports over verified TLS, HTTPS endpoint on"
    layout = "hybrid"

    def start(self):
        self.start_aggregator()
        units = f"{self.folder}/units"
        for number in self.targets.sleepers:
            self.write(
                f"units/svc-{number}.service",
                f"[Service]\nExecStart=/bin/sleep {2 * SLEEP + number}\nMemoryAccounting=yes\nCPUAccounting=yes\n"
                "[Install]\nWantedBy=multi-user.target\n", 0o644)
            self.write(f"etc/services.d/{number}.inq", f"check service svc-{number}\n  if cpu:total > 400% for 5 cycles then alert\n")
        self.write("etc/rollcall.conf", self.settings())
        self.bed = f"{self.folder}/bed"
        subprocess.run(
            [BED, "start", "-d", self.bed, "-l", self.layout, "-n", "-u", units, "-b", self.options.programs, "-b", self.folder],
            check=True, stdout=subprocess.DEVNULL)
        names = [f"svc-{number}.service" for number in self.targets.sleepers]
        subprocess.run([BED, "enter", "-d", self.bed, "systemctl", "start", *names], check=True)
        self.run(BED, "enter", "-d", self.bed, f"{self.options.programs}/rollcall-agent", "--config", f"{self.folder}/etc")
        self.agent = wait_until("the agent runs", self.find_agent)
        self.find_mains()

    def find_mains(self):
        self.mains = {}
        for pid in all_pids():
            words = words_of(pid)
            if len(words) > 1 and words[1].isdigit() and int(words[1]) >= 2 * SLEEP:
                self.mains[int(words[1]) - 2 * SLEEP] = pid

    def restored(self, targets):
        names = [f"svc-{number}.service" for number in targets.sleepers]
        subprocess.run([BED, "enter", "-d", self.bed, "systemctl", "reset-failed"], check=True)
        subprocess.run([BED, "enter", "-d", self.bed, "systemctl", "start", *names], check=True)
        self.find_mains()

    def find_agent(self):
        pids = [pid for pid in descendants(self.programs[-1].pid) if words_of(pid)[:1] == [f"{self.options.programs}/rollcall-agent".encode()]]
        return pids[-1] if pids else None

    def pid(self):
        return self.agent

    def kill(self, number):
        os.kill(self.mains[number], signal.SIGKILL)

    kill_soon = kill

    def end(self):
        if getattr(self, "agent", None):
            try:
                os.kill(self.agent, signal.SIGTERM)
            except ProcessLookupError:
                pass
        super().end()
        if os.path.isdir(getattr(self, "bed", "") + "/state"):
            subprocess.run([BED, "stop", "-d", self.bed], check=True, stdout=subprocess.DEVNULL)


class Monit(Watcher):
    name = "monit"
    note = "pid files"

    def start(self):
        checks = "".join(
            f"check process svc-{number} with pidfile {self.targets.file(number)}\n"
            "  if total cpu > 400% for 5 cycles then alert\n  if memory usage > 1000 MB for 5 cycles then alert\n"
            for number in self.targets.sleepers)
        file = self.write(
            "monitrc",
            f"set daemon 1\nset idfile {self.folder}/id\nset statefile {self.folder}/state\nset pidfile {self.folder}/pid\n" + checks, 0o700)
        self.run("monit", "-I", "-c", file)

    def pattern(self, number):
        return re.compile(rf"'svc-{number}' process is not running")


class Scraped(Watcher):
    """An exporter, which only looks when it is asked: once a second."""

    def start_scraping(self, port):
        self.latest, self.stopped = None, threading.Event()
        wait_until("the exporter listens", lambda: self.scrape(port))
        self.thread = threading.Thread(target=self.scrape_often, args=(port,), daemon=True)
        self.thread.start()

    def scrape_often(self, port):
        at = time.monotonic()
        while not self.stopped.wait(max(0, at - time.monotonic())):
            at += 1
            try:
                text = self.scrape(port)
            except OSError:
                continue
            self.latest = (time.monotonic(), text)

    def scrape(self, port):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        except OSError:
            return None

    def heard(self, number, since, seconds):
        pattern = self.pattern(number)
        while time.monotonic() < since + seconds:
            latest = self.latest
            if latest and latest[0] > since and latest[1] and not pattern.search(latest[1]):
                return latest[0]
            time.sleep(0.002)
        return None

    def end(self):
        if hasattr(self, "stopped"):
            self.stopped.set()
            self.thread.join(30)
        super().end()


class ProcessExporter(Scraped):
    name = "process-exporter"
    note = "one group a process; scraped once a second"

    def start(self):
        file = self.write(
            "names.yaml", f"process_names:\n  - name: 'svc-{{{{.Matches.Number}}}}'\n    cmdline:\n    - '^sleep (?P<Number>{SLEEP // 10 ** 6}\\d{{6}})$'\n")
        port = free_port()
        self.run("prometheus-process-exporter", "-config.path", file, "-web.listen-address", f"127.0.0.1:{port}")
        self.start_scraping(port)

    def pattern(self, number):
        return re.compile(rf'namedprocess_namegroup_num_procs{{groupname="svc-{SLEEP + number}"}} 1\b')


class NodeExporter(Scraped):
    name = "node-exporter"
    note = "the host only; scraped once a second"
    counts_kills = False

    def start(self):
        port = free_port()
        self.run("prometheus-node-exporter", "--collector.processes", f"--web.listen-address=127.0.0.1:{port}")
        self.start_scraping(port)


class Supervisord(Watcher):
    name = "supervisord"
    note = "parent of its processes; measures nothing"

    def start(self):
        programs = "".join(
            f"[program:svc-{number}]\ncommand=/bin/sleep {3 * SLEEP + number}\nstartsecs=0\nautorestart=false\n"
            "stdout_logfile=NONE\nstderr_logfile=NONE\n"
            for number in self.targets.sleepers)
        file = self.write(
            "supervisord.conf",
            f"[supervisord]\nnodaemon=true\nlogfile=/dev/stdout\nlogfile_maxbytes=0\npidfile={self.folder}/pid\nminfds=4096\n" + programs)
        self.run("supervisord", "-c", file)
        self.children = wait_until("its programs run", self.find_children)

    def find_children(self):
        children = {}
        for pid in descendants(self.pid()):
            words = words_of(pid)
            if len(words) > 1 and words[1].isdigit():
                children[int(words[1]) - 3 * SLEEP] = pid
        return children if len(children) == len(self.targets.sleepers) else None

    def kill(self, number):
        os.kill(self.children[number], signal.SIGKILL)

    def pattern(self, number):
        return re.compile(rf"exited: svc-{number} ")

    def end(self):
        super().end()
        # It ends them one after the other, and may be killed before the last.
        for number, pid in getattr(self, "children", {}).items():
            if words_of(pid)[1:2] == [str(3 * SLEEP + number).encode()]:
                os.kill(pid, signal.SIGKILL)


class Floor(Watcher):
    name = "floor.c"
    note = "held files, stat and statm, pidfds; no product"

    def start(self):
        program = f"{self.folder}/floor"
        subprocess.run(["cc", "-O2", "-o", program, f"{HERE}/floor.c"], check=True)
        self.run(program, *[str(self.targets.pid(number)) for number in self.targets.sleepers])

    def pattern(self, number):
        return re.compile(rf"ended {self.targets.pid(number)}$")


# Measuring


def rate(pid, seconds):
    """CPU milliseconds and wake-ups a second."""
    begin, first, woken = time.monotonic(), used(pid), wakeups(pid)
    time.sleep(seconds)
    passed = time.monotonic() - begin
    return 1000 * (used(pid) - first) / passed, (wakeups(pid) - woken) / passed


def measure(kind, targets, folder, options):
    watcher = kind(targets, folder, options)
    row = {"program": kind.name, "note": kind.note, "watched": len(targets.sleepers), "load": os.getloadavg()[0]}
    try:
        watcher.start()
        began = time.monotonic()
        time.sleep(options.settle)
        pid = watcher.pid()
        row["cpu"], row["wakeups"] = rate(pid, options.seconds)
        row["threads"] = threads(pid)
        crowd = Crowd(options.crowd)
        try:
            time.sleep(2)
            row["cpu_crowded"], _ = rate(pid, options.seconds)
        finally:
            crowd.end()
        time.sleep(2)
        # The agent keeps 240 cycles of all numbers; what it keeps then is what it keeps after a day.
        if watcher.counts_events:
            time.sleep(max(0, began + options.memory - time.monotonic()))
        row["rss"], row["pss"] = memory(pid)
        if watcher.counts_kills:
            row["latencies"] = latencies(watcher, targets, options)
        if watcher.counts_events:
            row["storm"] = storm(watcher, targets, options)
            time.sleep(options.memory / 4)
            row["storm"]["pss"] = memory(pid)[1]
    except Exception as error:
        row["failed"] = str(error)
        for program in watcher.programs:
            print("\n".join("    " + line for _, line in program.lines[-5:]), file=sys.stderr)
    finally:
        watcher.end()
        targets.restore()
    return row


def latencies(watcher, targets, options):
    """From kill -9 until it says so, in milliseconds; a death that was never told is missing."""
    found = []
    for number in random.Random(1).sample(sorted(targets.sleepers), min(options.kills, len(targets.sleepers))):
        time.sleep(random.random())
        since = time.monotonic()
        watcher.kill(number)
        at = watcher.heard(number, since, 15)
        if at is not None:
            found.append(1000 * (at - since))
    return found


def storm(watcher, targets, options):
    """All that still live are killed at once: how many deaths the aggregator has stored in the end, how many more than once, and when the
    last one came."""
    targets.restore()
    watcher.restored(targets)
    time.sleep(options.settle)
    last, _ = watcher.events_after(0)
    began, cpu = time.monotonic(), used(watcher.pid())
    numbers = sorted(targets.sleepers)
    for number in numbers:
        watcher.kill_soon(number)
    told, arrived, changed = collections.Counter(), None, time.monotonic()
    # It is over when nothing has come for as long as a death may take.
    while time.monotonic() < changed + 10 and time.monotonic() < began + 120:
        time.sleep(0.02)
        last, more = watcher.events_after(last)
        if more:
            told += more
            arrived = changed = time.monotonic()
    return {
        "killed": len(numbers), "told": len(told), "twice": sum(1 for count in told.values() if count > 1),
        "seconds": (arrived or began) - began, "cpu": 1000 * (used(watcher.pid()) - cpu),
    }


# Telling


def version(package):
    try:
        return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True).stdout or "?"
    except OSError:
        return "?"


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}"


def number(row, key, places=1):
    return f"{row[key]:.{places}f}" if key in row else "-"


def table(rows):
    lines = [
        "| program | watched | CPU ms a cycle | the same, 2,000 unwatched more | RSS MB | PSS MB | threads | wake-ups a second | kill -9 to event, ms: median | p95 | told |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        times = sorted(row.get("latencies", []))
        median = f"{statistics.median(times):.1f}" if times else "-"
        late = f"{times[math.ceil(0.95 * len(times)) - 1]:.1f}" if times else "-"
        told = str(len(times)) if "latencies" in row else "-"
        name = f"{row['program']} ({row['note']})" + (f": **failed**, {row['failed']}" if "failed" in row else "")
        lines.append(
            f"| {name} | {row['watched']} | {number(row, 'cpu', 2)} | {number(row, 'cpu_crowded', 2)} | {number(row, 'rss')} | "
            f"{number(row, 'pss')} | {row.get('threads', '-')} | {number(row, 'wakeups')} | {median} | {late} | {told} |")
    return "\n".join(lines)


def storm_table(rows):
    lines = [
        "| program | killed at once | told | told twice | until the last, s | CPU ms in all | PSS MB afterwards |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        if "storm" not in row:
            continue
        storm = row["storm"]
        lines.append(
            f"| {row['program']} ({row['note']}) | {storm['killed']} | {storm['told']} | {storm['twice']} | {storm['seconds']:.2f} | "
            f"{storm['cpu']:.0f} | {number(storm, 'pss')} |")
    return "\n".join(lines)


def sampler_lines(options):
    program = f"{options.programs}/SamplerBenchmark"
    if not os.path.exists(program):
        return "not measured: there is no SamplerBenchmark"
    return "\n".join(
        subprocess.run([program, str(count), "100"], capture_output=True, text=True).stdout.strip() for count in options.sizes)


def results(rows, sampler, began, options):
    versions = ", ".join(f"{name} {version(name)}" for name in ("monit", "prometheus-process-exporter", "prometheus-node-exporter", "supervisor"))
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip() or "?"
    loads = ", ".join(f"{row['load']:.1f}" for row in rows)
    return f"""# What watching costs

`make bench` wrote this: {began:%Y-%m-%d %H:%M} UTC, commit {commit}, {machine()}.
Each program watches processes that sleep, at a cycle of 1 s, measured over {options.seconds} s (and as long with the crowd);
{options.kills} kills each. Load average before each row: {loads}.
{options.remark}
Versions: {versions}.

{table(rows)}

CPU time is the scheduler's count of all threads, also of those that have ended, and of children that were waited for. An exporter does
nothing until it is scraped; its reader's time is not counted. The agent's memory is read {options.memory:.0f} s after its start, when its
history of 240 cycles is full, and again {options.memory / 4:.0f} s after the storm. "told" is how many of the kills were told of at all within 15 s.

All of them killed at once, and what the aggregator has stored of it:

{storm_table(rows)}

The sampler alone, cycle after cycle without a pause (warm caches: real cycles, a second apart, cost more):

```
{sampler}
```
"""


def of_deploys(path):
    """What Benchmarks/deploys.py has written below it."""
    try:
        with open(path) as file:
            _, heading, section = file.read().partition("\n## Deploys\n")
    except FileNotFoundError:
        return ""
    return heading + section


KINDS = [Agent, AgentOnSystemd, Floor, Monit, ProcessExporter, NodeExporter, Supervisord]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--programs", default=f"{ROOT}/.build/release", help="where rollcall-agent and SamplerBenchmark are")
    parser.add_argument("--aggregator", help="the aggregator that it reports to (default: the one beside the agent)")
    parser.add_argument("--sizes", type=lambda text: [int(word) for word in text.split(",")], default=[50, 500])
    parser.add_argument("--systemd-sizes", type=lambda text: [int(word) for word in text.split(",") if word], default=[50, 500])
    parser.add_argument("--only", help="some of: " + ", ".join(kind.__name__ for kind in KINDS))
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--settle", type=float, default=5)
    parser.add_argument("--memory", type=float, default=250, help="how many seconds after the agent's start its memory is read")
    parser.add_argument("--crowd", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--remark", default="", help="what a reader of the results should know")
    parser.add_argument("--output", default=f"{HERE}/RESULTS.md")
    options = parser.parse_args()
    if os.getuid() != 0:
        sys.exit("the benchmark reads what other users' processes use, and starts a systemd: run it as root")
    options.programs = os.path.realpath(options.programs)
    options.aggregator = os.path.realpath(options.aggregator or f"{options.programs}/rollcall-aggregator")
    kinds = [kind for kind in KINDS if not options.only or kind.__name__ in options.only.split(",")]
    # What was started is ended, however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = datetime.datetime.now(datetime.timezone.utc)
    folder = tempfile.mkdtemp(prefix="rollcall-bench-")
    rows = []
    try:
        for size in options.sizes:
            targets = Targets(size, f"{folder}/targets-{size}")
            try:
                for kind in kinds:
                    if kind is AgentOnSystemd and size not in options.systemd_sizes:
                        continue
                    rows.append(measure(kind, targets, f"{folder}/{kind.__name__}-{size}", options))
                    print("\n".join(text.split("\n", 2)[-1] for text in (table(rows[-1:]), storm_table(rows[-1:])) if text.count("\n") > 1), flush=True)
            finally:
                targets.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = results(rows, sampler_lines(options), began, options) + of_deploys(options.output)
    with open(options.output, "w") as file:
        file.write(text)
    print(text)
    if any("failed" in row for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
