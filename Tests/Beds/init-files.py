#!/usr/bin/python3
"""Checks what init/ holds, with the tools of those who will read it: systemd's own, polkit's JavaScript engine.

Upstart has no package any more: its files are held to the stanzas of its manual, init(5).
"""

import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

INIT = pathlib.Path(__file__).resolve().parents[2] / "init"
SYSTEMD = INIT / "systemd"
WITHOUT_CAPABILITIES = SYSTEMD / "rollcall-agent.service.d" / "without-capabilities.conf"

# systemd-analyze's exposure level times ten: what may not get worse.
EXPOSURE = {"rollcall-agent": 25, "rollcall-aggregator": 15}

passed = failed = 0


def main():
    for name, limit in EXPOSURE.items():
        check_exposure(name, limit)
        check_verified(name)
        check_user(name)
    check_reduced_profile()
    check_polkit_rule()
    for job in sorted((INIT / "upstart").glob("*.conf")):
        check_stanzas(job)
    # A checker that finds nothing proves nothing until it has found what was put there.
    check("an unknown Upstart stanza is found", stanza_faults("respawn\nrespwan limit 10 5\n") == ["line 2: respwan limit 10 5"])
    check("an open script block is found", stanza_faults("script\n  true\n") == ["line 1: script has no end"])
    print(f"init: {passed} passed, {failed} failed")
    return 1 if failed else 0


def check(what, holds, detail=""):
    global passed, failed
    if holds:
        passed += 1
        return
    failed += 1
    print(f"FAILED: {what}", detail, sep="\n" if detail else "", file=sys.stderr)


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout + result.stderr


# systemd


def check_exposure(name, limit):
    status, output = run("systemd-analyze", "security", "--offline=true", f"--threshold={limit}", str(SYSTEMD / f"{name}.service"))
    check(f"{name}.service has an exposure level of at most {limit / 10}", status == 0, output)


def check_verified(name):
    with tempfile.TemporaryDirectory() as folder:
        unit = stage(name, folder)
        complaints = verify(unit)
        check(f"systemd understands {unit.name}", not complaints, "\n".join(complaints))
        unit.write_text(unit.read_text() + "\n[Service]\nNoSuchSetting=1\n")
        check(f"a setting that does not exist in {unit.name} is found", any("NoSuchSetting" in line for line in verify(unit)))


def stage(name, folder):
    """A copy of a unit that starts programs which exist, because systemd complains about others."""
    text = (SYSTEMD / f"{name}.service").read_text()
    unit = pathlib.Path(folder) / f"{name}.service"
    unit.write_text(re.sub(r"/usr/local/bin/rollcall-\w+", "/bin/true", text))
    return unit


def verify(unit):
    """What systemd complains about in this unit; it loads the host's other units too, whose faults are not ours."""
    _, output = run("systemd-analyze", "verify", "--man=no", str(unit))
    return [line for line in output.splitlines() if unit.stem in line]


def check_user(name):
    user = re.search(r"^User=(.*)$", (SYSTEMD / f"{name}.service").read_text(), re.MULTILINE)[1]
    definition = SYSTEMD / f"{name}.sysusers.conf"
    status, output = run("systemd-sysusers", "--dry-run", str(definition))
    check(f"systemd-sysusers understands {definition.name}", status == 0, output)
    check(f"{definition.name} defines the user {user}", re.search(rf"^u {user} ", definition.read_text(), re.MULTILINE))


def check_reduced_profile():
    with tempfile.TemporaryDirectory() as folder:
        unit = stage("rollcall-agent", folder)
        whole = capabilities(unit)
        check("the agent has its two capabilities", whole == ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"], str(whole))
        drop_ins = pathlib.Path(f"{unit}.d")
        drop_ins.mkdir()
        shutil.copy(WITHOUT_CAPABILITIES, drop_ins)
        complaints = verify(unit)
        check(f"systemd understands {WITHOUT_CAPABILITIES.name}", not complaints, "\n".join(complaints))
        unit.write_text(unit.read_text() + "\n" + WITHOUT_CAPABILITIES.read_text())
        check("the reduced profile has no capability", capabilities(unit) == [], str(capabilities(unit)))


def capabilities(unit):
    """What AmbientCapabilities= comes to: an empty value takes back all before it."""
    names = []
    for value in re.findall(r"^AmbientCapabilities=(.*)$", unit.read_text(), re.MULTILINE):
        names = names + value.split() if value else []
    return names


# polkit

UNITS = "org.freedesktop.systemd1.manage-units"
NOBODY_ASKED = None

# What the rule says when its two examples are in force: user, action, unit, verb, answer.
POLKIT_TABLE = [
    ("rollcall-agent", UNITS, "puma.service", "restart", "yes"),
    ("rollcall-agent", UNITS, "puma.service", "reload", "yes"),
    ("rollcall-agent", UNITS, "worker@1.service", "restart", "yes"),
    ("rollcall-agent", UNITS, "worker@1.service", "reload", "no"),
    ("rollcall-agent", UNITS, "worker@1.service", "start", "yes"),
    ("rollcall-agent", UNITS, "worker@1.service", "stop", "yes"),
    ("rollcall-agent", UNITS, "worker@1.service", "kill", "yes"),
    ("rollcall-agent", UNITS, "worker@2.service", "restart", "no"),
    ("rollcall-agent", UNITS, "toString", "restart", "no"),
    ("rollcall-agent", UNITS, "hasOwnProperty", "restart", "no"),
    ("rollcall-agent", UNITS, "ssh.service", "restart", "no"),
    ("rollcall-agent", UNITS, "puma.service.evil.service", "restart", "no"),
    ("rollcall-agent", UNITS, "puma", "restart", "no"),
    ("rollcall-agent", UNITS, "", "restart", "no"),
    ("rollcall-agent", UNITS, NOBODY_ASKED, NOBODY_ASKED, "no"),
    ("rollcall-agent", UNITS, "puma.service", "stop", "no"),
    ("rollcall-agent", UNITS, "puma.service", "start", "no"),
    ("rollcall-agent", UNITS, "puma.service", "kill", "no"),
    ("rollcall-agent", UNITS, "puma.service", "set-property", "no"),
    ("rollcall-agent", UNITS, "puma.service", "freeze", "no"),
    ("rollcall-agent", UNITS, "ssh.service", "ref", "yes"),
    ("rollcall-agent", "org.freedesktop.systemd1.manage-unit-files", NOBODY_ASKED, NOBODY_ASKED, "no"),
    ("rollcall-agent", "org.freedesktop.systemd1.reload-daemon", NOBODY_ASKED, NOBODY_ASKED, "no"),
    ("rollcall-agent", "org.freedesktop.login1.reboot", NOBODY_ASKED, NOBODY_ASKED, "not handled"),
    ("www-data", UNITS, "puma.service", "restart", "not handled"),
    ("root", UNITS, "puma.service", "restart", "not handled"),
]

POLKIT = """
var rules = [];
var polkit = {
    Result: {YES: "yes", NO: "no", NOT_HANDLED: "not handled"},
    addRule: function (rule) { rules.push(rule); },
};
"""

ASK = """
print(JSON.stringify(table.map(function (row) {
    var details = {unit: row[2], verb: row[3]};
    // polkit answers with undefined where the asker gave no such detail.
    var lookup = function (key) { return details[key] === null ? undefined : details[key]; };
    return rules[0]({id: row[1], lookup: lookup}, {user: row[0]});
})));
"""


def check_polkit_rule():
    rule = (SYSTEMD / "49-rollcall-agent.rules").read_text()
    check("the polkit rule comes without units", polkit_answers(rule, [POLKIT_TABLE[0]]) == ["no"])
    named = rule.replace('// "puma.service"', '"puma.service"').replace('// "worker@1.service"', '"worker@1.service"')
    for row, answer in zip(POLKIT_TABLE, polkit_answers(named, POLKIT_TABLE), strict=True):
        check(f"polkit: {row}", answer == row[4], f"but the rule says {answer}")


def polkit_answers(rule, table):
    """Runs the rule in Duktape, the engine that polkitd runs it in."""
    with tempfile.NamedTemporaryFile("w", suffix=".js") as script:
        script.write(POLKIT + rule + f"\nvar table = {json.dumps(table)};\n" + ASK)
        script.flush()
        status, output = run("duk", script.name)
    if status != 0:
        check("polkit's JavaScript engine understands the rule", False, output)
        return [None] * len(table)
    return json.loads(output)


# Upstart

# What may stand in a job file that Upstart 1.4 reads, after the manual: a pattern for the line without its comment.
STANZAS = [
    r"(description|author|version) .+",
    r"(start|stop) on .+",
    r"(env|export) \w+(=.*)?",
    r"(pre-start|post-start|pre-stop|post-stop) exec .+",
    r"exec .+",
    r"respawn",
    r"respawn limit (unlimited|\d+ \d+)",
    r"normal exit( (\d+|[A-Z0-9]+))+",
    r"task",
    r"manual",
    r"instance .+",
    r"expect (fork|daemon|stop|none)",
    r"kill timeout \d+",
    r"kill signal (\d+|[A-Z0-9]+)",
    r"console (none|log|output|owner)",
    r"umask [0-7]{1,4}",
    r"nice -?\d+",
    r"oom score (-?\d+|never)",
    r"limit (as|core|cpu|data|fsize|memlock|msgqueue|nice|nofile|nproc|rss|rtprio|sigpending|stack) (\d+|unlimited) (\d+|unlimited)",
    r"(chroot|chdir) /.*",
    r"(setuid|setgid) [a-z_][a-z0-9_-]*",
]
SCRIPT = re.compile(r"((pre-start|post-start|pre-stop|post-stop) )?script")


def check_stanzas(job):
    text = job.read_text()
    faults = stanza_faults(text)
    check(f"Upstart has every stanza of {job.name}", not faults, "\n".join(faults))
    check(f"{job.name} has exactly one main process", len(re.findall(r"^(exec |script$)", text, re.MULTILINE)) == 1)


def stanza_faults(text):
    faults = []
    opened = None
    for number, line in enumerate(text.splitlines(), start=1):
        if opened:
            opened = None if line.strip() == "end script" else opened
            continue
        stanza = " ".join(shlex.split(line, comments=True, posix=False))
        if SCRIPT.fullmatch(stanza):
            opened = f"line {number}: {stanza} has no end"
        elif stanza and not any(re.fullmatch(pattern, stanza) for pattern in STANZAS):
            faults.append(f"line {number}: {stanza}")
    return faults + ([opened] if opened else [])


if __name__ == "__main__":
    sys.exit(main())
