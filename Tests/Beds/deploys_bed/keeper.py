"""Starts a server, takes in what it leaves behind, and ends all of it when it is told to.

    keeper.py FOLDER START_FOLDER own|none lifeline|- COMMAND...

It does what an init system does: a process whose parent has ended becomes its child and is waited for. SIGUSR1 starts the server once more, as
after it was stopped. With a lifeline the keeper also ends when its standard input does.
"""
import ctypes, os, signal, sys, threading, time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from deploys_bed import groups

folder, start_folder, group_wanted, life, *command = sys.argv[1:]
group = groups.own_group(folder) if group_wanted == "own" else None
PR_SET_CHILD_SUBREAPER = 36


def main():
    signal.signal(signal.SIGTERM, lambda *_: end())
    signal.signal(signal.SIGUSR1, lambda *_: start())
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    start()
    if life == "lifeline":
        threading.Thread(target=wait_for_end_of_input, daemon=True).start()
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            time.sleep(0.05)


def start():
    if os.fork() == 0:
        become_server()


def become_server():
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    if group:
        try:
            os.makedirs(group, exist_ok=True)
            with open(group + "/cgroup.procs", "w") as file:
                file.write("0")
        except OSError as error:
            print(f"no control group of its own: {error}", file=sys.stderr, flush=True)
    os.chdir(start_folder)
    os.setsid()
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.execvp(command[0], command)


def wait_for_end_of_input():
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def end():
    # What forks while it is being ended is found by the next look.
    while True:
        for pid in groups.descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            time.sleep(0.01)
        except ChildProcessError:
            break
    if group and os.path.isdir(group):
        os.rmdir(group)
    os._exit(0)


main()
