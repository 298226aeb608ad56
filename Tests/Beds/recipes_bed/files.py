"""Units, jobs, rules, rights and configurations, each read by the program that it is for."""
import re, shutil

from .harness import PYTHON, RECIPES, RUBY, check, run

def units(folder, _programs):
    for unit in sorted((RECIPES / "units").glob("*.service")):
        check(f"systemd understands {unit.name}", not complaints(folder, unit.name, unit.read_text()), complaints(folder, unit.name, unit.read_text()))
    base = "[Service]\nExecStart=/bin/true\nExecReload=/bin/true\n"
    for name, drop_in in (("nginx", "units/nginx-drop-in.conf"), ("web", "tools/exec-reload.conf")):
        text = base + (RECIPES / drop_in).read_text()
        check(f"systemd understands {drop_in}", not complaints(folder, f"{name}.service", text), complaints(folder, f"{name}.service", text))
    broken = "[Service]\nExecStart=/bin/true\nNoSuchSetting=1\n"
    check("a setting that does not exist is found", complaints(folder, "x.service", broken))


def complaints(folder, name, text):
    """What systemd says of a unit whose programs and users are there."""
    text = re.sub(r"/usr/(local/)?(s?bin)/(bundle|gunicorn|nginx|verify-token)\b", "/bin/true", text)
    text = re.sub(r"^User=.*$", "User=daemon", text, flags=re.M)
    unit = folder / name
    unit.write_text(text)
    status, output = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit)
    return [line for line in output.splitlines() if name in line] or ([output] if status else [])


STANZAS = {
    "chdir", "description", "end", "env", "exec", "expect", "kill", "post-start", "post-stop", "pre-start", "pre-stop", "reload", "respawn", "script",
    "setgid", "setuid", "start", "stop", "umask",
}


def jobs(folder, _programs):
    for job in sorted((RECIPES / "upstart").glob("*.conf")):
        lines = [line.split() for line in job.read_text().splitlines() if line.strip() and not line.startswith("#")]
        check(f"{job.name} has stanzas of Upstart alone", all(words[0] in STANZAS for words in lines), job)
        check(f"{job.name} starts something", sum(words[0] == "exec" for words in lines) == 1, job)


def rights(folder, _programs):
    status, output = run("/usr/sbin/visudo", "-cf", RECIPES / "rights/sudoers")
    check("sudo understands rights/sudoers", status == 0, output)
    script = folder / "rules.js"
    script.write_text(
        "var polkit = {Result: {YES: 'yes', NOT_HANDLED: 'not'}, addRule: function (f) { polkit.rule = f; }};\n"
        + (RECIPES / "rights/49-deploy.rules").read_text() +
        "function ask(user, unit, verb) { return polkit.rule({id: 'org.freedesktop.systemd1.manage-units', lookup: function (k) {"
        " return k == 'unit' ? unit : verb; }}, {user: user}); }\n"
        "print(ask('deploy', 'puma.service', 'reload'), ask('deploy', 'puma.service', 'stop'), ask('deploy', 'ssh.service', 'reload'),"
        " ask('mallory', 'puma.service', 'reload'));\n")
    status, output = run("duk", script)
    check("the polkit rule allows what it names, and nothing else", output.split() == ["yes", "not", "not", "not"], output)


def services(folder, programs):
    copied = folder / "services.d"
    shutil.copytree(RECIPES / "services.d", copied)
    status, output = run(programs / "rollcall", "check-config", *sorted(copied.glob("*.inq")))
    check("rollcall understands services.d", status == 0, output)


def server_files(folder, _programs):
    for name in ("puma.rb", "unicorn.rb"):
        status, output = run(RUBY, "-c", RECIPES / "servers" / name)
        check(f"Ruby reads servers/{name}", status == 0, output)
    (folder / "app.py").write_text("def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'']\n")
    text = (RECIPES / "servers/gunicorn.conf.py").read_text().replace("/srv/app/current", str(folder))
    (folder / "gunicorn.conf.py").write_text(text)
    status, output = run(PYTHON, "/usr/bin/gunicorn", "--check-config", "-c", folder / "gunicorn.conf.py", "app:application", cwd=folder)
    check("gunicorn reads servers/gunicorn.conf.py", status == 0, output)


PARTS = [units, jobs, rights, services, server_files]
