"""Holds memory in a child: USR1 takes 200 MiB more, HUP gives it back and counts the reloads in /run/NAME.reloads."""
import os
import signal
import socket
import time

reloads = 0


def grow_and_shrink():
    held = []
    signal.signal(signal.SIGUSR1, lambda *_: held.append(bytearray(os.urandom(1)) * (200 << 20)))
    signal.signal(signal.SIGHUP, lambda *_: held.clear())
    while True:
        time.sleep(60)


child = os.fork()
if child == 0:
    grow_and_shrink()


def reload(*_):
    global reloads
    reloads += 1
    os.kill(child, signal.SIGHUP)
    with open("/run/grower.reloads", "w") as file:
        file.write(str(reloads))


def end(*_):
    os.kill(child, signal.SIGKILL)
    raise SystemExit(0)


signal.signal(signal.SIGHUP, reload)
signal.signal(signal.SIGUSR1, lambda *_: os.kill(child, signal.SIGUSR1))
signal.signal(signal.SIGTERM, end)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while True:
    time.sleep(60)
