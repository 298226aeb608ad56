#!/usr/bin/env python3
"""Measures what judging a deploy costs, how late a verdict comes, and what many hosts at once do to it. It needs root, for only root may see
which process answered whom.

The costs are those of Benchmarks/DeployBenchmark over 8 workers of gunicorn. Latencies are those of real deploys (Tests/DeployScenarios), one
after the other: from the last worker's turn to verify-token's exit, without the settle time. For many hosts each has an agent and a gunicorn
of its own, on this machine; they are asked directly, and through an aggregator. What is measured is printed, and becomes the section *Deploys* of RESULTS.md.
"""
import argparse, datetime, hashlib, json, math, os, platform, secrets, shutil, sqlite3, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "Tests/Beds"))
from deploys_bed.gunicorn import Gunicorn
from deploys_bed.service import free_port

GOOD = [
    "puma-hot", "puma-phased", "puma-phased-slow-boot", "unicorn-usr2", "unicorn-hup", "gunicorn-hup", "gunicorn-hup-gthread",
    "gunicorn-usr2-then-term", "uwsgi-hup", "nginx-hup", "haproxy-reload"]
BAD = ["puma-hot-raises", "puma-phased-raises", "unicorn-usr2-raises-preload", "gunicorn-hup-raises", "gunicorn-usr2-raises", "uwsgi-hup-raises"]
SETTLE = 0.3


def server(folder, workers, traits=()):
    """A gunicorn that serves release 1, and a release 2 beside it."""
    service = Gunicorn(folder, [f"workers={workers}"])
    os.makedirs(service.folder)
    service.release("1")
    service.write("releases/1/TOKEN", secrets.token_hex(16))
    service.switch("1")
    service.start()
    service.release("2", traits)
    return service


def costs(folder, programs):
    service = server(f"{folder}/costs", 8)
    try:
        words = [f"{programs}/DeployBenchmark", str(service.pid()), "/about/deploy", "about", service.path("password")]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip().splitlines()
    finally:
        service.stop()


def latencies(folder, programs, rounds):
    """In milliseconds: of good deploys the latency, of bad ones the time from the signal to the verdict; and what went wrong."""
    good, bad, faults = [], [], []
    for number in range(rounds):
        results = f"{folder}/results-{number}"
        done = subprocess.run(
            [f"{ROOT}/Tests/DeployScenarios/run", "--parallel", "1", "--programs", programs, "--results", results, *GOOD, *BAD],
            capture_output=True, text=True)
        faults += [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
        with open(results) as file:
            for result in map(json.loads, file):
                said = result.get("check", {})
                if result["name"] in GOOD and "latency" in said:
                    good.append(said["latency"] * 1000)
                elif result["name"] in BAD and said:
                    bad.append(said["since_action"] * 1000)
    return good, bad, faults


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o600)


class Aggregator:
    """One that relays deploys, for whoever has its script token."""

    def __init__(self, folder, programs):
        os.makedirs(folder)
        self.folder, self.programs, self.port = folder, programs, free_port()
        self.token = secrets.token_hex(16)
        write(f"{folder}/script-token", self.token + "\n")
        write(f"{folder}/aggregator.yaml", f"listen: 127.0.0.1:{self.port}\ndatabase: {folder}/rollcall.sqlite\n")
        self.program = None

    def start(self):
        database = sqlite3.connect(f"{self.folder}/rollcall.sqlite")
        with database:
            database.execute(
                "INSERT INTO script_tokens VALUES ('bench', ?, 'deploys', ?)",
                (hashlib.sha256(self.token.encode()).hexdigest(), int(time.time() * 1e6)))
        database.close()
        with open(f"{self.folder}/log", "wb") as log:
            self.program = subprocess.Popen(
                [f"{self.programs}/rollcall-aggregator", "run", "--config", f"{self.folder}/aggregator.yaml"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)

    def add(self, host):
        """What a host's agent needs to know of it. The first one makes the database."""
        return subprocess.run(
            [f"{self.programs}/rollcall-aggregator", "add-agent", host, "--config", f"{self.folder}/aggregator.yaml"], check=True,
            capture_output=True, text=True).stdout

    def end(self):
        if self.program:
            self.program.terminate()
            self.program.wait(20)


class Host:
    """An agent with a server of its own, which is asked itself or through an aggregator."""

    def __init__(self, folder, programs, number, aggregator):
        self.folder, self.port = f"{folder}/host-{number}", free_port()
        os.makedirs(f"{self.folder}/etc/services.d")
        self.service = server(f"{self.folder}/web", 2, ["slow=1"])
        question = f'deploy_path /about/deploy, deploy_user about, deploy_password_file "{self.service.path("password")}"'
        write(f"{self.folder}/password", "correct horse battery\n")
        write(f"{self.folder}/etc/services.d/web.inq", f'check service web with pidfile "{self.service.path("pid")}", {question}\n')
        settings = [
            f"set hostname host-{number}", f'set state_directory "{self.folder}/state"', f'set socket "{self.folder}/socket"', "set cycle_time 1"]
        if aggregator:
            write(f"{self.folder}/token", aggregator.add(f"host-{number}"))
            settings += [
                f"set aggregator http://127.0.0.1:{aggregator.port}", f'set aggregator_token_file "{self.folder}/token"',
                'set aggregator_commands "deploy"', "set listen off"]
        else:
            settings += [
                f"set listen 127.0.0.1:{self.port}", "set listen_user deploy", f'set listen_password_file "{self.folder}/password"']
        write(f"{self.folder}/etc/rollcall.conf", "\n".join([*settings, ""]))
        self.words, self.agent = [f"{programs}/rollcall-agent", "--config", f"{self.folder}/etc"], None

    def start(self):
        with open(f"{self.folder}/log", "wb") as log:
            self.agent = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self):
        if self.agent:
            self.agent.terminate()
            self.agent.wait(20)
        self.service.stop()


def hosts_at_once(folder, programs, count, is_relayed):
    """Seconds from the signals to the verdict on all of them, and to that of the slowest agent."""
    hosts = []
    aggregator = Aggregator(f"{folder}/aggregator", programs) if is_relayed else None
    try:
        for number in range(count):
            hosts.append(Host(folder, programs, number, aggregator))
        if aggregator:
            aggregator.start()
            way = ["--aggregator", f"http://127.0.0.1:{aggregator.port}", "--aggregator-token-file", f"{aggregator.folder}/script-token"]
        else:
            agents = ",".join(f"http://127.0.0.1:{host.port}" for host in hosts)
            way = ["--agents", agents, "--agents-user", "deploy", "--agents-password-file", f"{hosts[0].folder}/password"]
        for host in hosts:
            host.start()
        time.sleep(8 if aggregator else 3)
        environment = {**os.environ, "XDG_STATE_HOME": f"{folder}/state"}

        def ask(*words):
            return subprocess.run([f"{programs}/verify-token", *words, *way], capture_output=True, text=True, env=environment)

        token = secrets.token_hex(16)
        done = ask("prepare", "--service", "web", "--token", token, "--print", "id")
        if done.returncode != 0:
            raise RuntimeError(f"verify-token prepare: {done.stderr}")
        for host in hosts:
            host.service.write("releases/2/TOKEN", token)
            host.service.switch("2")
        began, wall = time.monotonic(), time.time()
        for host in hosts:
            host.service.hup()
        done = ask("check", "--deploy", done.stdout.strip(), "--settle", f"{SETTLE}s", "--json")
        took = time.monotonic() - began
        said = json.loads(done.stdout)
        if done.returncode != 0 or len(said["hosts"]) != count:
            raise RuntimeError(f"{said['verdict']} of {len(said['hosts'])} hosts: {said['reasons']}")
        slowest = max(moment(host["since"]) for host in said["hosts"]) - wall
        return took, slowest
    finally:
        for host in hosts:
            host.end()
        if aggregator:
            aggregator.end()


def moment(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def late(times):
    return sorted(times)[math.ceil(0.95 * len(times)) - 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--programs", default=f"{ROOT}/.build/release", help="where rollcall-agent, rollcall-aggregator, verify-token and DeployBenchmark are")
    parser.add_argument("--rounds", type=int, default=3, help="how often each deploy is done")
    parser.add_argument("--hosts", type=int, default=16)
    parser.add_argument("--remark", default="", help="what a reader of the results should know")
    parser.add_argument("--output", default=f"{HERE}/RESULTS.md")
    parser.add_argument("--only", help="measure that alone, and write nothing", choices=["costs", "latencies", "hosts"])
    options = parser.parse_args()
    if os.getuid() != 0:
        sys.exit("only root may see which process answered whom: run it as root")
    programs = os.path.realpath(options.programs)
    folder = tempfile.mkdtemp(prefix="bench-deploys-")
    began, load = datetime.datetime.now(datetime.timezone.utc), os.getloadavg()[0]
    lines, faults = [], []

    def tell(line):
        print(line, flush=True)
        lines.append(line)

    try:
        if options.only in (None, "costs"):
            for line in costs(folder, programs):
                tell(line)
        if options.only in (None, "latencies"):
            good, bad, faults = latencies(folder, programs, options.rounds)
            tell(f"from the last worker's turn to the exit, {len(good)} deploys: median {statistics.median(good):.0f} ms, "
                 f"95 % within {late(good):.0f} ms")
            tell(f"from the signal to the verdict, {len(bad)} deploys whose code does not boot: median {statistics.median(bad):.0f} ms, "
                 f"at most {max(bad):.0f} ms")
        if options.only in (None, "hosts"):
            for count, is_relayed in ((1, False), (options.hosts, False), (options.hosts, True)):
                took, slowest = hosts_at_once(f"{folder}/{count}-{is_relayed}", programs, count, is_relayed)
                tell(f"{count} {'host' if count == 1 else 'hosts at once'}{', through an aggregator' if is_relayed else ''}: "
                     f"{took:.2f} s from the signals to the exit; the slowest agent took {slowest:.2f} s")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for fault in faults:
        print(fault)
    if options.only is None and not faults:
        publish(options, began, load, lines)
    sys.exit(1 if faults else 0)


def publish(options, began, load, lines):
    """Replaces the section of RESULTS.md."""
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip() or "?"
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    try:
        with open(options.output) as file:
            before = file.read().partition("\n## Deploys\n")[0]
    except FileNotFoundError:
        before = ""
    remark = options.remark + "\n" if options.remark else ""
    with open(options.output, "w") as file:
        file.write(f"""{before}
## Deploys

`make bench-deploys` wrote this: {began:%Y-%m-%d %H:%M} UTC, commit {commit}, {os.cpu_count()} x {model}, Linux {platform.release()}; load average
{load:.1f} before it, {os.getloadavg()[0]:.1f} after it. The settle time is not in the latencies; new code of the hosts takes 1 s to boot.
{remark}
```
""" + "\n".join(lines) + "\n```\n")


if __name__ == "__main__":
    main()
