"""Unicorn."""
import os, signal

from .service import Service


class Unicorn(Service):
    OPTIONS = {"workers": 3, "preload": False, "recipe": False, "directory": True, "pwd": False}

    # What most configuration files on the net have: the first new worker sends the old master away.
    RECIPE = """
before_fork do |server, worker|
  old = "#{server.config[:pid]}.oldbin"
  if File.exist?(old) && server.pid != old
    begin
      Process.kill("QUIT", File.read(old).to_i)
    rescue Errno::ENOENT, Errno::ESRCH
    end
  end
end
"""

    def configure(self):
        lines = [f'listen "127.0.0.1:{self.port}"', f'pid "{self.path("pid")}"', f"worker_processes {self.workers}", "timeout 90"]
        lines.append(f"preload_app {'true' if self.options['preload'] else 'false'}")
        if self.options["directory"] is True:
            lines.append(f'working_directory "{self.path("current")}"')
        self.write("unicorn.rb", "\n".join(lines) + "\n" + (self.RECIPE if self.options["recipe"] else ""))

    def command(self):
        return ["/usr/bin/ruby", "/usr/bin/unicorn", "-E", "production", "-c", self.path("unicorn.rb")]

    def usr2(self):
        """USR2: a second master beside the first, which the recipe, if there is one, sends away."""
        self.signal(signal.SIGUSR2)

    def usr2_then_quit(self):
        """USR2, and QUIT to the old master when all new workers have loaded their code."""
        old, count = self.pid(), len(self.boots())
        self.signal(signal.SIGUSR2)
        self.wait("the new workers are there", lambda: len(self.boots()) >= count + (1 if self.options["preload"] else self.workers))
        os.kill(old, signal.SIGQUIT)

    def hup(self):
        """HUP: new workers by the same master."""
        self.signal(signal.SIGHUP)
