"""Servers as people really run them: with helpers, side doors and relatives."""
import os, subprocess, sys

from .gunicorn import Gunicorn
from .puma import Puma
from .service import HERE
from .uwsgi import Uwsgi

JOBS = """
# Forks a supervisor of jobs and a worker for them, as `plugin :solid_queue` does: both inherit the listener.
Puma::Plugin.create do
  def start(launcher)
    launcher.events.on_booted do
      @child = fork do
        trap("TERM") { exit!(0) }
        kid = fork do
          trap("TERM") { exit!(0) }
          Thread.new { loop { exit!(0) if Process.ppid == 1; sleep 0.5 } }
          sleep
        end
        trap("TERM") { Process.kill(:TERM, kid) rescue nil; exit!(0) }
        sleep
      end
      Process.detach(@child)
    end
    stop = proc { Process.kill(:TERM, @child) rescue nil }
    launcher.events.register(:on_restart, &stop) rescue nil
    launcher.events.register(:on_stopped, &stop) rescue nil
  end
end
"""

HELPER = """
import os, subprocess

def when_ready(server):
    # A helper of the old code that outlives each reload, and has the listener open.
    if os.path.exists({once!r}):
        return
    open({once!r}, "w").close()
    for listener in server.LISTENERS:
        os.set_inheritable(listener.fileno(), True)
    subprocess.Popen(["sleep", "600"], close_fds=False, start_new_session=True)
    for listener in server.LISTENERS:
        os.set_inheritable(listener.fileno(), False)
"""


class PumaWithJobs(Puma):
    """Jobs are supervised inside Puma."""

    def configure(self):
        super().configure()
        os.makedirs(self.path("lib/puma/plugin"), exist_ok=True)
        self.write("lib/puma/plugin/jobs.rb", JOBS)
        self.append("puma.rb", "plugin :jobs\n")

    def environment(self):
        return {**super().environment(), "RUBYLIB": self.path("lib")}

    def append(self, name, text):
        with open(self.path(name)) as file:
            before = file.read()
        self.write(name, before + text)


class PumaWithControl(PumaWithJobs):
    """Its main process serves a second listener, for those who control it."""

    def configure(self):
        Puma.configure(self)
        self.append("puma.rb", f'activate_control_app "unix://{self.path("control")}", {{ auth_token: "secret" }}\n')


class GunicornWithHelper(Gunicorn):
    """A helper that its main process has started has the listener open."""

    def configure(self):
        super().configure()
        with open(self.path("gunicorn.conf.py")) as file:
            before = file.read()
        self.write("gunicorn.conf.py", before + HELPER.format(once=self.path("helped")))


class GunicornOnSharedPort(Gunicorn):
    """Others may share its port."""

    def configure(self):
        super().configure()
        with open(self.path("gunicorn.conf.py")) as file:
            before = file.read()
        self.write("gunicorn.conf.py", before + "reuse_port = True\n")
        release = os.path.realpath(self.path("current"))
        self.write("stray.conf.py", before.replace(self.path("pid"), self.path("stray-pid")) + f"reuse_port = True\nchdir = {release!r}\n")

    def stray(self):
        """A second one is started by hand, outside of the service, on the same port."""
        boots = len(self.boots())
        words = [sys.executable, HERE + "/keeper.py", self.folder, os.path.realpath(self.path("current")), "none", "lifeline"]
        with open(self.path("stray-log"), "ab") as log:
            self._stray = subprocess.Popen(
                words + ["/usr/bin/python3", "/usr/bin/gunicorn", "-c", self.path("stray.conf.py"), "app:application"], stdin=subprocess.PIPE,
                stdout=log, stderr=log, env=self.environment(), start_new_session=True)
        self.wait("the stray has loaded its code", lambda: len(self.boots()) >= boots + self.workers)

    def stop(self):
        stray = getattr(self, "_stray", None)
        if stray:
            stray.stdin.close()
            stray.wait(20)
        super().stop()


class UwsgiWithRouter(Uwsgi):
    """`http` instead of `http-socket`: a router accepts, and passes requests on to the workers' own socket."""

    def configure(self):
        super().configure()
        with open(self.path("uwsgi.ini")) as file:
            text = file.read()
        self.write("uwsgi.ini", text.replace("http-socket = ", "http = ").replace("plugins = python3", "plugins = python3,http"))
