#!/usr/bin/env python3
"""Finds out which functions the agent runs once it is past its start, and writes their names to Benchmarks/agent.order.

The linker puts these functions side by side. The kernel maps code in pieces of 16 pages around each page that is run: with what runs in
every cycle scattered over the whole program, most of the program is in memory; side by side it is a tenth of that. A name that a later
version does not have any longer is ignored; a function that is missing costs a page or two.

Watched are processes by pid file, and units of a real systemd; some of them are killed. It needs root, and valgrind.
"""
import argparse, os, re, shutil, subprocess, sys, tempfile, time
import bench

HERE = os.path.dirname(os.path.abspath(__file__))


class Recorded:
    """An agent that runs under callgrind, which writes down what it calls."""

    def record(self, *command):
        return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={self.folder}/calls", "--instr-atstart=no", "--demangle=no",
                "--compress-strings=no", "--compress-pos=no", *command]

    def names(self):
        with open(f"{self.folder}/calls") as file:
            return [re.sub(r"'\d+$", "", line[3:].strip()) for line in file if line.startswith("fn=")]


class RecordedAgent(Recorded, bench.Agent):
    def run(self, *command, **options):
        return super().run(*(self.record(*command) if command[0].endswith("/rollcall-agent") else command), **options)

    def begin(self):
        subprocess.run(["callgrind_control", "-i", "on", str(self.pid())], check=True, stdout=subprocess.DEVNULL)


class RecordedAgentOnSystemd(Recorded, bench.AgentOnSystemd):
    def run(self, *command, **options):
        if command[0] == bench.BED:
            command = [*command[:4], *self.record(*command[4:])]
        return super().run(*command, **options)

    def find_agent(self):
        found = [pid for pid in bench.descendants(self.programs[-1].pid) if any(b"callgrind" in word for word in bench.words_of(pid)[:2])]
        return found[-1] if found else None

    def begin(self):
        subprocess.run([bench.BED, "enter", "-d", self.bed, "callgrind_control", "-i", "on"], check=True, stdout=subprocess.DEVNULL)


def symbols_of(program):
    lines = subprocess.run(["nm", "--defined-only", program], check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[-1] for line in lines if re.match(r"[0-9a-f]+ [tTwWvV] ", line)}


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--programs", default=os.path.join(bench.ROOT, ".build/release"), help="where rollcall-agent is")
    options.add_argument("--aggregator", help="the aggregator that it reports to (default: the one beside the agent)")
    options.add_argument("--start", type=float, default=40, metavar="SECONDS", help="for how long it may start")
    options.add_argument("--seconds", type=float, default=60, help="for how long it is recorded")
    options.add_argument("--output", default=f"{HERE}/agent.order")
    options = options.parse_args()
    program = f"{options.programs}/rollcall-agent"
    symbols, names = symbols_of(program), {}
    folder = tempfile.mkdtemp(prefix="rollcall-order-")
    options.aggregator = options.aggregator or f"{options.programs}/rollcall-aggregator"
    # valgrind cannot read packed debug information.
    subprocess.run(["strip", "-g", "-o", f"{folder}/rollcall-agent", program], check=True)
    shutil.copy(f"{options.programs}/rollcall-runner", folder)
    options.programs = folder
    try:
        for kind in RecordedAgent, RecordedAgentOnSystemd:
            targets = bench.Targets(20, f"{folder}/{kind.__name__}-targets")
            agent = kind(targets, f"{folder}/{kind.__name__}", options)
            try:
                agent.start()
                time.sleep(options.start)
                agent.begin()
                for number in list(targets.sleepers)[:4]:
                    time.sleep(options.seconds / 5)
                    agent.kill(number)
                time.sleep(options.seconds / 5)
            finally:
                agent.end()
                targets.end()
            names |= dict.fromkeys(name for name in agent.names() if name in symbols)
    finally:
        shutil.rmtree(folder)
    with open(options.output, "w") as file:
        file.write("# What the agent runs once it is past its start: `make order` wrote this, the linker reads it.\n")
        file.writelines(f"{name}\n" for name in sorted(names))
    print(f"{len(names)} functions of {len(symbols)}: {options.output}")


if __name__ == "__main__":
    main()
