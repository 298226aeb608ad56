"""Endpoints: each must answer the token that was there when it started, also after the file has changed."""
import glob, http.client, os, shutil, signal, socket, subprocess, time

from .harness import PYTHON, RECIPES, RUBY, check, run

TOKENS = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def ask(port, path="/about/deploy"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("ascii", "replace")
    finally:
        connection.close()


def until_answered(port, process, log):
    for _ in range(300):
        try:
            return ask(port)
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    raise RuntimeError(f"nothing answers: {log.read_text()[-2000:]}")


class Served:
    """A server that is gone when the block ends."""

    def __init__(self, folder, port, *command, **options):
        self.log = folder / "log"
        self.port = port
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, **options)

    def __enter__(self):
        try:
            until_answered(self.port, self.process, self.log)
        except Exception:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            # Its own group (a session of its own): what it forked goes with it.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def tells_what_was_loaded(name, release, port, *command, **options):
    (release / "TOKEN").write_text(TOKENS[0])
    with Served(release, port, *command, **options):
        check(f"{name} answers its token", ask(port) == (200, TOKENS[0]), ask(port))
        (release / "TOKEN").write_text(TOKENS[1])
        check(f"{name} answers what was loaded, and not what the file says now", ask(port) == (200, TOKENS[0]), ask(port))
    with Served(release, port, *command, **options):
        check(f"{name}, started anew, answers the new token", ask(port) == (200, TOKENS[1]), ask(port))


def rack(folder, _programs):
    (folder / "lib").mkdir()
    shutil.copy(RECIPES / "endpoints/deploy_token.rb", folder / "lib")
    (folder / "config.ru").write_text('require_relative "lib/deploy_token"\nuse DeployToken\nrun ->(_) { [200, {}, ["app"]] }\n')
    port = free_port()
    tells_what_was_loaded("Rack on Puma", folder, port, RUBY, "/usr/bin/puma", "-e", "production", "-b", f"tcp://127.0.0.1:{port}", "config.ru", cwd=folder)


def wsgi(folder, _programs):
    shutil.copy(RECIPES / "endpoints/deploy_token.py", folder)
    (folder / "app.py").write_text(
        "from deploy_token import DeployToken\n"
        "def plain(environ, start_response):\n    start_response('200 OK', [])\n    return [b'app']\n"
        "application = DeployToken(plain)\n")
    port = free_port()
    tells_what_was_loaded("WSGI on gunicorn", folder, port, PYTHON, "/usr/bin/gunicorn", "-b", f"127.0.0.1:{port}", "app:application", cwd=folder)


def flask(folder, _programs):
    shutil.copy(RECIPES / "endpoints/deploy_token.py", folder)
    (folder / "app.py").write_text(
        "from flask import Flask\nfrom deploy_token import DeployToken\napp = Flask(__name__)\napp.wsgi_app = DeployToken(app.wsgi_app)\n"
        "@app.route('/')\ndef home():\n    return 'app'\n")
    port = free_port()
    tells_what_was_loaded("Flask on gunicorn", folder, port, PYTHON, "/usr/bin/gunicorn", "-b", f"127.0.0.1:{port}", "app:app", cwd=folder)


def django(folder, _programs):
    shutil.copy(RECIPES / "endpoints/deploy_token.py", folder)
    (folder / "urls.py").write_text("urlpatterns = []\n")
    (folder / "wsgi.py").write_text(
        "from django.conf import settings\nfrom django.core.wsgi import get_wsgi_application\nfrom deploy_token import DeployToken\n"
        "settings.configure(ROOT_URLCONF='urls', SECRET_KEY='for a test', ALLOWED_HOSTS=['*'])\napplication = DeployToken(get_wsgi_application())\n")
    port = free_port()
    tells_what_was_loaded("Django on gunicorn", folder, port, PYTHON, "/usr/bin/gunicorn", "-b", f"127.0.0.1:{port}", "wsgi:application", cwd=folder)


def node(folder, _programs):
    shutil.copy(RECIPES / "endpoints/deploy-token.js", folder)
    port = free_port()
    (folder / "app.js").write_text(
        "const token = require('./deploy-token');\n"
        f"require('http').createServer((q, a) => token(q, a, () => a.end('app'))).listen({port}, '127.0.0.1');\n")
    tells_what_was_loaded("Node", folder, port, "node", "app.js", cwd=folder)


def go(folder, _programs):
    package = folder / "deploytoken"
    package.mkdir()
    shutil.copy(RECIPES / "endpoints/go/deploytoken.go", package)
    (folder / "go.mod").write_text("module example.test/app\n\ngo 1.19\n")
    port = free_port()
    (folder / "main.go").write_text(
        'package main\n\nimport (\n\t"net/http"\n\n\t"example.test/app/deploytoken"\n)\n\n'
        f'func main() {{\n\thttp.HandleFunc("/about/deploy", deploytoken.Handle)\n\thttp.ListenAndServe("127.0.0.1:{port}", nil)\n}}\n')
    environment = dict(os.environ, GOCACHE=str(folder / "cache"), GOFLAGS="-mod=mod", GOPROXY="off", HOME=str(folder))
    status, output = run("/usr/bin/go", "build", "-o", "app", ".", cwd=folder, env=environment, timeout=300)
    check("the Go endpoint compiles", status == 0, output)
    tells_what_was_loaded("Go", folder, port, folder / "app", cwd=folder)


def php(folder, _programs):
    """PHP-FPM behind nginx, its pool with the recipe's line and the recipe's command in the comment above it."""
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    release = folder / "release"
    release.mkdir()
    shutil.copy(RECIPES / "endpoints/deploy-token.php", release)
    program = sorted(glob.glob("/usr/sbin/php-fpm*"))[-1]
    port = free_port()
    pool = (RECIPES / "endpoints/php-fpm-pool.conf").read_text()
    recipe = pool.replace("/srv/app/current", str(release))
    prepare_line = command_in_comment(pool, ";")
    (folder / "fpm.conf").write_text(
        f"[global]\nerror_log = {folder}/fpm.log\ndaemonize = no\n[www]\nuser = nobody\ngroup = nogroup\nlisten = {folder}/fpm.sock\n"
        f"listen.owner = nobody\nlisten.mode = 0666\npm = static\npm.max_children = 2\n{recipe}")
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\nserver {{\nlisten 127.0.0.1:{port};\n"
        f"location = /about/deploy {{ fastcgi_pass unix:{folder}/fpm.sock; fastcgi_param SCRIPT_FILENAME {release}/deploy-token.php;\n"
        f"fastcgi_param REQUEST_METHOD GET; }}\n}}\n}}\n")

    def prepare(token):
        (release / "TOKEN").write_text(token)
        run("sh", "-ec", prepare_line, env=dict(os.environ, release=str(release)))

    prepare(TOKENS[0])
    with open(folder / "fpm-out", "ab") as log:
        fpm = subprocess.Popen([program, "-y", str(folder / "fpm.conf")], stdout=log, stderr=log, start_new_session=True)
    try:
        with Served(folder, port, "/usr/sbin/nginx", "-c", folder / "nginx.conf", "-p", folder):
            awaits("PHP answers its token", port, TOKENS[0])
            prepare(TOKENS[1])
            check("PHP answers what FPM has loaded, and not what the file says now", ask(port) == (200, TOKENS[0]), ask(port))
            fpm.send_signal(signal.SIGUSR2)
            awaits("PHP answers the new token after a reload", port, TOKENS[1])
    finally:
        fpm.terminate()
        fpm.wait(20)


def nginx(folder, _programs):
    folder.chmod(0o755)
    recipe = (RECIPES / "endpoints/nginx.conf").read_text()
    prepare_line = command_in_comment(recipe, "#")
    port = free_port()
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\nserver {{\nlisten 127.0.0.1:{port};\n"
        + recipe.replace("/srv/app/current", str(folder)) + f"location = /page {{ root {folder}; }}\n" + "}\n}\n")

    def prepare(token):
        (folder / "TOKEN").write_text(token)
        run("sh", "-ec", prepare_line, env=dict(os.environ, release=str(folder)))

    prepare(TOKENS[0])
    with Served(folder, port, "/usr/sbin/nginx", "-c", folder / "nginx.conf", "-p", folder) as server:
        check("nginx answers its token", ask(port) == (200, TOKENS[0]), ask(port))
        prepare(TOKENS[1])
        check("nginx answers what it has loaded, and not what the file says now", ask(port) == (200, TOKENS[0]), ask(port))
        # What the recipe owns up to: the token is that of the configuration, and files are new without it.
        (folder / "page").write_text("new")
        check("nginx serves new files meanwhile", ask(port, "/page") == (200, "new"), ask(port, "/page"))
        server.process.send_signal(signal.SIGHUP)
        awaits("nginx answers the new token after a reload", port, TOKENS[1])


def command_in_comment(text, mark):
    line = next(line for line in text.splitlines() if "printf" in line)
    return line.lstrip(mark + " ")


def awaits(what, port, token):
    answer = None
    for _ in range(100):
        try:
            answer = ask(port)
        except OSError as error:
            answer = error
        if answer == (200, token):
            break
        time.sleep(0.1)
    check(what, answer == (200, token), answer)


PARTS = [rack, wsgi, flask, django, node, go, php, nginx]
