"""What `deploys` understands."""
import json, os, sys

from . import servers
from .service import BedError


def main(words, usage):
    if len(words) < 2:
        sys.exit(usage.strip())
    folder, verb, *rest = words
    os.makedirs(folder, exist_ok=True)
    try:
        if verb in ("start", "serve"):
            with open(os.path.join(folder, "server"), "w") as file:
                json.dump(rest, file)
            service = make(folder)
            service.start(detached=True)
            if verb == "serve":
                try:
                    sys.stdin.read()
                finally:
                    service.stop()
            return
        service = make(folder)
        call = {"release": lambda name, *traits: service.release(name, traits)}.get(verb, getattr(service, verb.replace("-", "_"), None))
        if verb.startswith("_") or not callable(call):
            raise BedError(f"there is no {verb} for {type(service).__name__}")
        call(*rest)
    except BedError as error:
        sys.exit(f"deploys: {error}")


def make(folder):
    """The server that was started below a folder, or, before one is, one that only knows releases."""
    try:
        with open(os.path.join(folder, "server")) as file:
            name, *options = json.load(file)
    except FileNotFoundError:
        name, options = "any", []
    if name not in servers.SERVERS:
        raise BedError(f"there is no server {name}; there are {' '.join(servers.SERVERS)}")
    return servers.SERVERS[name](folder, options)
