"""Units, jobs, rules, rights and configurations, each read by the program that it is for."""
import importlib.machinery, importlib.util, re, shutil

from .harness import PYTHON, RECIPES, ROOT, RUBY, check, run

def jobs(folder, _programs):
    """Upstart has no package any more: its files are held to the stanzas that Tests/Beds/init-files.py knows from the manual, and one of 1.11."""
    loader = importlib.machinery.SourceFileLoader("init_files", str(ROOT / "Tests/Beds/init-files.py"))
    init_files = importlib.util.module_from_spec(importlib.util.spec_from_loader("init_files", loader))
    loader.exec_module(init_files)
    init_files.STANZAS.append(r"reload signal [A-Z0-9]+")
    for job in sorted((RECIPES / "upstart").glob("*.conf")):
        faults = init_files.stanza_faults(job.read_text())
        check(f"Upstart has every stanza of {job.name}", not faults, faults)
        check(f"{job.name} has exactly one main process", len(re.findall(r"^exec ", job.read_text(), re.MULTILINE)) == 1)


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


# On a host


def units(host):
    """systemd itself reads them, with the programs and the user there that they name."""
    for unit in sorted((RECIPES / "units").glob("*.service")):
        host.must("cp", unit, f"/etc/systemd/system/{unit.name}")
        check(f"systemd understands {unit.name}", not complaints(host, unit.name), complaints(host, unit.name))
    # nginx's own unit with the drop-in; and the one for `web`, on a unit of this name.
    host.must("cp", RECIPES / "units/puma.service", "/etc/systemd/system/web.service")
    host.must("install", "-D", "-m", "644", RECIPES / "tools/exec-reload.conf", "/etc/systemd/system/web.service.d/verify.conf")
    for unit, drop_in in (("nginx.service", "reload.conf"), ("web.service", "verify.conf")):
        check(f"systemd understands {unit} with its drop-in", not complaints(host, unit), complaints(host, unit))
        check(f"systemd reads the drop-in of {unit}", drop_in in host.must("systemctl", "cat", unit))
    host.write("/etc/systemd/system/wrong.service", "[Service]\nExecStart=/bin/true\nNoSuchSetting=1\n")
    check("a setting that does not exist is found", complaints(host, "wrong.service"))
    host.must("sh", "-c", "cd /etc/systemd/system && rm -r wrong.service puma.service unicorn.service gunicorn.service sidekiq.service web.service*")


def complaints(host, name):
    host.must("systemctl", "daemon-reload")
    status, output = host.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", name)
    return [line for line in output.splitlines() if name in line] or ([output] if status else [])


def rights_in_force(host):
    """sudo and polkit let the user do what the files name, and nothing else."""
    host.serve("gunicorn")
    for words in (["systemctl", "reload", "web"], ["systemctl", "restart", "web"], ["systemctl", "reload-or-restart", "web"]):
        for how in (["sudo", "-n"], []):
            status, output = host.run(*how, *words, user="deploy")
            check(f"the user may {' '.join(how + words)}", status == 0, output)
    for words in (["systemctl", "stop", "web"], ["systemctl", "reload", "nginx"], ["systemctl", "reload", "web", "nginx"]):
        for how in (["sudo", "-n"], []):
            status, output = host.run(*how, *words, user="deploy")
            check(f"the user may not {' '.join(how + words)}", status != 0, output)
    status, output = host.run("systemctl", "reload", "web", user="nobody")
    check("another user may not", status != 0, output)


PARTS = [jobs, rights, services, server_files]
ON_HOST = [units, rights_in_force]
