"""Control groups of a bed's own, and who descends from whom."""
import os, zlib


def own_group(folder):
    """Where the control group of version 2 for a bed is, or would be; None where the machine has none."""
    try:
        with open("/proc/self/mounts") as mounts:
            top = next(line.split()[1] for line in mounts if line.split()[2] == "cgroup2")
        with open("/proc/self/cgroup") as file:
            own = next(line.strip()[3:] for line in file if line.startswith("0::"))
        return f"{top}{own.rstrip('/')}/deploys-{zlib.crc32(folder.encode()):08x}"
    except StopIteration:
        return None


def descendants(pid):
    """Children, their children and so on. Who lost its parent counts when `pid` is its subreaper."""
    found, look = [], [pid]
    while look:
        parent = look.pop()
        try:
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children") as file:
                    children = [int(child) for child in file.read().split()]
                found += children
                look += children
        except OSError:
            continue
    return found
