"""Deploy tools, each with its recipe as it is: good releases and bad ones, to a real server on a real host, judged by the real verify-token."""
import re

from .harness import PYTHON, RECIPES, check

TOOLS = RECIPES / "tools"
FIRST = "/srv/app/releases/20200101000000"
# What verify-token says with its exit code.
STALE, DOWN, CRASH_LOOP = 1, 4, 5


def went_forward(what, host, status, output, version):
    check(f"{what}: a good release ends with 0", status == 0, output)
    check(f"{what}: and then nobody is answered by old code", host.versions() == {version}, (host.versions(), output))


def went_back(what, host, status, output, codes, version="first"):
    """The exit code says why, the link is the old one again, and so is the code that answers."""
    check(f"{what}: a bad release ends with {' or '.join(str(code) for code in codes)}", status in codes, (status, output))
    check(f"{what}: the link is the old one again", host.current() == version, (host.current(), output))
    try:
        host.until("only the old code answers", lambda: host.versions() == {version}, 10)
    except Exception as error:
        check(f"{what}: the old code answers again", False, (error, host.versions(), output))


def bash_over_ssh(host):
    """On Puma."""
    script = TOOLS / "deploy-over-ssh.sh"

    def deploy(version, *hosts, timeout="60s"):
        return host.run(script, host.archive(version), *hosts, user="deploy", WATCH="1s", STALL="20s", TIMEOUT=timeout)

    host.serve("puma")
    went_forward("bash over ssh", host, *deploy("good", "app-1"), "good")
    status, output = deploy("broken", "app-1", "app-2")
    went_back("bash over ssh", host, status, output, [CRASH_LOOP], "good")
    check("bash over ssh: the second host is left alone", len(host.releases()) == 3, host.releases())
    check("bash over ssh: the way back is proven too", "VERIFIED" in output, output)

    host.serve("puma", reload="/bin/true")
    status, output = deploy("good", "app-1", timeout="3s")
    went_back("bash over ssh, the signal is lost", host, status, output, [STALE])


def bash_on_the_host(host):
    """On Unicorn, with polkit's rule instead of sudo; then on nginx, which refuses a faulty configuration before any signal."""
    script = TOOLS / "deploy-here.sh"
    host.serve("unicorn")
    went_forward("bash on the host, Unicorn", host, *host.run(script, host.archive("good"), user="deploy"), "good")
    status, output = host.run(script, host.archive("broken"), user="deploy")
    went_back("bash on the host, Unicorn", host, status, output, [CRASH_LOOP], "good")

    host.serve("nginx")
    went_forward("bash on the host, nginx", host, *host.run(script, host.archive("good"), SERVICE="nginx"), "good")
    status, output = host.run(script, host.archive("broken"), SERVICE="nginx")
    # systemctl's own exit code: there was nothing to be verified.
    went_back("bash on the host, nginx", host, status, output, [1], "good")


def fabric(host):
    """On gunicorn, whose main process ends when new code does not boot."""
    host.serve("gunicorn")
    host.must("cp", TOOLS / "fabfile.py", "/home/deploy/", user="deploy")

    def deploy(version):
        return host.run(PYTHON, "-m", "fabric", "-H", "app-1,app-2", "deploy", "--archive", host.archive(version), user="deploy")

    status, output = deploy("good")
    went_forward("Fabric", host, status, output, "good")
    check("Fabric: two hosts, two deploys", len(host.releases()) == 3, host.releases())
    status, output = deploy("broken")
    went_back("Fabric", host, status, output, [DOWN, CRASH_LOOP], "good")
    check("Fabric: the second host is left alone", len(host.releases()) == 4, host.releases())


def ansible(host):
    """On gunicorn."""
    host.serve("gunicorn")
    host.write("/home/deploy/inventory", f"[app]\napp-1 ansible_python_interpreter={PYTHON}\napp-2 ansible_python_interpreter={PYTHON}\n")

    def deploy(release, *more):
        return host.run("ansible-playbook", "-i", "inventory", "-e", f"release={release}", *more, TOOLS / "ansible.yml", user="deploy", ANSIBLE_PIPELINING="1")

    good, broken = host.unpack("good", "20300101000001"), host.unpack("broken", "20300101000002")
    status, output = deploy(good, "-l", "app-1")
    went_forward("Ansible", host, status, output, "good")
    check("Ansible says what was proven", "3 workers on 1 host run the new release" in output, output)
    status, output = deploy(broken)
    # ansible-playbook's own: a host has failed.
    went_back("Ansible", host, status, output, [2], "good")
    check("Ansible says why", "nobody accepts connections" in output or "die soon after their start" in output, output)
    check("Ansible: the second host is left alone", re.search(r"^app-2 ", output, re.MULTILINE) is None, output)


def capistrano(host):
    """On Puma, from a git repository, as `cap install` lays it out."""
    host.serve("puma")
    home = "/home/deploy/shop"
    host.write(f"{home}/Capfile", (
        'require "capistrano/setup"\nrequire "capistrano/deploy"\nrequire "capistrano/scm/git"\ninstall_plugin Capistrano::SCM::Git\n'
        'Dir.glob("lib/capistrano/tasks/*.rake").each { |recipe| import recipe }\n'))
    host.write(f"{home}/config/deploy.rb", (
        f'set :application, "web"\nset :repo_url, "{home}/repository"\nset :branch, "main"\nset :deploy_to, "/srv/app"\nset :format, :simpletext\n'))
    host.write(f"{home}/config/deploy/production.rb", 'server "app-1", user: "deploy", roles: %w[app]\n')
    host.must("install", "-D", TOOLS / "capistrano.rake", f"{home}/lib/capistrano/tasks/verify.rake")
    host.must("chown", "-R", "deploy:", home)

    def cap(task):
        return host.run("cap", "production", task, user="deploy", folder=home)

    repository(host, f"{home}/repository", "good")
    status, output = cap("deploy")
    went_forward("Capistrano", host, status, output, "good")
    repository(host, f"{home}/repository", "broken")
    status, output = cap("deploy")
    check("Capistrano: a bad release fails the deploy, and says why", status == 1 and "CRASH_LOOP" in output, (status, output))
    check("Capistrano: nothing was cleaned up", "deploy:cleanup" not in output, output)
    status, output = cap("deploy:rollback")
    went_back("Capistrano, deploy:rollback", host, status, output, [0], "good")
    check("Capistrano: the way back is proven too", "VERIFIED" in output, output)


# Debian's Mina is 0.3. What the recipe says in the words of Mina 1 is said to it in its own.
MINA = """
require "mina/git"
set :domain, "app-1"
set :user, "deploy"
set :deploy_to, "/srv/app"
set :repository, "/home/deploy/mina/repository"
set :branch, "main"
set :term_mode, :system

def command(text) = queue(text)
def on(step, &block) = to(step, &block)
def fetch(name) = name == :current_path ? "#{deploy_to}/current" : settings.public_send("#{name}!")
task(:"bundle:install") {}
"""


def mina(host):
    """On Puma."""
    host.serve("puma")
    home = "/home/deploy/mina"
    # Debian's package has it where its own program does not look.
    host.must("install", "-D", "-m", "644", "/usr/share/doc/mina/examples/deploy.sh.erb", "/usr/lib/ruby/data/deploy.sh.erb")
    host.must("install", "-d", "-o", "deploy", "-g", "deploy", home, f"{home}/config", "/srv/app/tmp", "/srv/app/shared")
    host.write(f"{home}/config/deploy.rb", MINA + f'load "{TOOLS}/mina.rb"\n')
    repository(host, f"{home}/repository", "good")
    status, output = host.run("mina", "deploy", user="deploy", folder=home)
    went_forward("Mina", host, status, output, "good")
    repository(host, f"{home}/repository", "broken")
    status, output = host.run("mina", "deploy", user="deploy", folder=home)
    check("Mina: the verdict is told", "CRASH_LOOP (token" in output, output)
    # Mina's own.
    went_back("Mina", host, status, output, [1], "good")
    check("Mina: the way back is proven too", "VERIFIED (token" in output, output)


def exec_reload(host):
    """On Puma: `systemctl reload` itself knows."""
    host.serve("puma")
    host.must("install", "-D", "-m", "644", TOOLS / "exec-reload.conf", "/etc/systemd/system/web.service.d/verify.conf")
    host.must("systemctl", "daemon-reload")
    host.must("systemctl", "restart", "web")
    host.until("it answers", lambda: host.versions() == {"first"})
    for version, release in (("good", "20300101000001"), ("broken", "20300101000002")):
        folder = host.unpack(version, release)
        host.must("ln", "-sfn", folder, "/srv/app/current", user="deploy")
        status, output = host.run("sudo", "systemctl", "reload", "web", user="deploy")
        output += host.run("journalctl", "-u", "web", "-n", "30", "--no-pager")[1]
        if version == "good":
            went_forward("ExecReload", host, status, output, "good")
        else:
            check("ExecReload: the reload of a bad release fails", status == 1, (status, output))
            check("ExecReload: the journal says why", "CRASH_LOOP" in output, output)
            check("ExecReload: the service goes on", host.run("systemctl", "is-active", "web")[1].strip() == "active", output)


def sidekiq(host):
    """It has no listener and loads new code only when it is restarted; the service's rule file says how that is proven."""
    host.serve("puma")
    release = host.unpack("good", "20300101000001")
    host.must("sh", "-c", f"sed 's|sidekiq -e|sidekiq -r ./jobs.rb -e|' {RECIPES}/units/sidekiq.service > /etc/systemd/system/sidekiq.service")
    for folder in (FIRST, release):
        host.write(f"{folder}/jobs.rb", 'require "sidekiq"\n')
    host.must("systemctl", "daemon-reload")
    host.must("systemctl", "start", "redis-server", "sidekiq")
    host.until("Sidekiq works", lambda: "busy" in host.run("sh", "-c", "tr '\\0' ' ' < /proc/$(systemctl show -p MainPID --value sidekiq)/cmdline")[1])

    def deploy(restart):
        script = f"""
            id=$(verify-token prepare --service sidekiq --release {release} --force --print id)
            ln -sfn {release} /srv/app/current
            {restart}
            verify-token check --deploy "$id" --evidence process --timeout 4s"""
        return host.run("bash", "-euc", script)

    status, output = deploy("systemctl kill -s TSTP sidekiq")
    check("Sidekiq: TSTP loads no new code, and that is told", status == STALE, (status, output))
    status, output = deploy("systemctl restart sidekiq")
    check("Sidekiq: a restart is proven by its process", status == 0, (status, output))
    host.must("systemctl", "stop", "sidekiq", "redis-server")


def codedeploy(host):
    """On gunicorn: the bed does what CodeDeploy's agent does, with the places and scripts that appspec.yml names."""
    import yaml

    host.serve("gunicorn")
    spec = yaml.safe_load((TOOLS / "codedeploy/appspec.yml").read_text())

    def deploy(version, number):
        archive = f"/opt/codedeploy-agent/deployment-root/{number}"
        host.must("mkdir", "-p", archive)
        host.must("tar", "-xzf", host.archive(version), "-C", archive)
        host.must("sh", "-c", f"cp {TOOLS}/codedeploy/* {archive}/")
        for file in spec["files"]:
            host.must("cp", "-r", archive + file["source"] + ".", file["destination"])
        for name in ("AfterInstall", "ApplicationStart", "ValidateService"):
            for hook in spec["hooks"][name]:
                status, output = host.run("timeout", hook["timeout"], f"{archive}/{hook['location']}", DEPLOYMENT_ID=number, LIFECYCLE_EVENT=name)
                if status != 0:
                    return name, status, output
        return name, status, output

    event, status, output = deploy("good", "d-GOOD00001")
    went_forward("CodeDeploy", host, status, output, "good")
    event, status, output = deploy("broken", "d-BAD000002")
    check("CodeDeploy: ValidateService fails a bad release", event == "ValidateService" and status in (DOWN, CRASH_LOOP), (event, status, output))
    # What it does then: the last good revision, as a deployment of its own.
    event, status, output = deploy("good", "d-BACK00003")
    went_back("CodeDeploy, the rollback", host, status, output, [0], "good")


def github_actions(host):
    """On gunicorn: the workflow's steps, in their order, as a runner runs them."""
    import yaml

    host.serve("gunicorn")
    work = "/home/deploy/work"
    text = (TOOLS / "github-actions/deploy.yml").read_text()
    # One host, whose agent and URL are on its loopback; and less patience.
    for theirs, ours in {
        "app-1.example.com:4677,app-2.example.com:4677,app-3.example.com:4677": "127.0.0.1:4677",
        "deploy@app-1.example.com deploy@app-2.example.com deploy@app-3.example.com": "deploy@app-1",
        "https://app.example.com/about/deploy": "http://127.0.0.1:8080/about/deploy",
        "--consecutive 20 --watch 30s": "--consecutive 5 --interval 0.1s --watch 1s",
    }.items():
        check(f"github-actions/deploy.yml has {theirs}", theirs in text)
        text = text.replace(theirs, ours)
    workflow = yaml.safe_load(text)
    job = workflow["jobs"]["deploy"]
    check("GitHub Actions: a verdict is not lost in a pipe", workflow["defaults"]["run"]["shell"] == "bash", workflow)
    secrets = {"AGENTS_PASSWORD": "swordfish", "DEPLOY_KEY": host.must("cat", "/home/deploy/.ssh/id_rsa"), "DEPLOY_KNOWN_HOSTS": "# none"}

    def play(number):
        """The exit codes by step, and the files that the steps wrote."""
        known = {f"secrets.{name}": value for name, value in secrets.items()} | {"github.run_id": str(number), "github.run_attempt": "1"}

        def expand(value):
            return re.sub(r"\$\{\{ *([\w.]+) *\}\}", lambda found: known[found[1]], str(value))

        host.must("rm", "-rf", "/home/deploy/files")
        host.must("mkdir", "/home/deploy/files", user="deploy")
        files = {"GITHUB_OUTPUT": "/home/deploy/files/output", "GITHUB_STEP_SUMMARY": "/home/deploy/files/summary"}
        base = {name: expand(value) for name, value in job["env"].items()}
        base |= {**files, "GITHUB_ACTIONS": "true", "GITHUB_SHA": "0" * 39 + str(number), "RUNNER_TEMP": "/home/deploy/files"}
        codes, outputs, failing = {}, {}, False
        for step in job["steps"]:
            condition = step.get("if")
            if "run" not in step or not (condition == "always()" or (condition == "failure()") == failing):
                continue
            environment = base | {name: expand(value) for name, value in step.get("env", {}).items()}
            host.write("/home/deploy/files/step.sh", expand(step["run"]))
            name = step["name"]
            codes[name], outputs[name] = host.run(
                "bash", "--noprofile", "--norc", "-eo", "pipefail", "/home/deploy/files/step.sh", user="deploy", folder=work, **environment)
            failing = failing or codes[name] != 0
            for line in host.run("cat", files["GITHUB_OUTPUT"])[1].splitlines() if "id" in step else []:
                key, _, value = line.partition("=")
                known[f"steps.{step['id']}.outputs.{key}"] = value
        return codes, outputs, host.run("cat", files["GITHUB_STEP_SUMMARY"])[1]

    for number, version in enumerate(("good", "broken"), 1):
        repository(host, work, version, TOOLS / "github-actions")
        codes, outputs, summary = play(number)
        if version == "good":
            went_forward("GitHub Actions", host, max(codes.values()), (codes, outputs), "good")
            check("GitHub Actions: nothing is rolled back then", "Roll back" not in codes, codes)
            check("GitHub Actions: the summary has the verdict's sentence", "run the new release" in summary, summary)
        else:
            went_back("GitHub Actions", host, codes.get("Verify"), (codes, outputs), [DOWN, CRASH_LOOP], "good")
            check("GitHub Actions: the summary says why", "DOWN" in summary or "CRASH_LOOP" in summary or "die" in summary or "accepts" in summary, summary)
            check("GitHub Actions: the run is annotated", "::error" in outputs["Verify"], outputs)


def repository(host, folder, version, *more):
    """A git repository whose branch main holds a version, and what else lies in `more`."""
    host.archive(version)
    copies = "\n".join(f"cp -r {place}/. ." for place in (f"{host.shared}/{version}", *more))
    host.must("bash", "-euc", f"""
        mkdir -p {folder}
        cd {folder}
        [ -d .git ] || git init -q -b main
        {copies}
        git add -A && git -c user.name=deploy -c user.email=deploy@example.test commit -qm {version}""", user="deploy")
