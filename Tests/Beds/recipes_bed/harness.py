"""What all parts share: a folder of recipes, a list of what was found, and how a program is run."""
import pathlib, subprocess, sys, threading, time

ROOT = pathlib.Path(__file__).resolve().parents[3]
RECIPES = ROOT / "recipes" / "deploys"
PYTHON = "/usr/bin/python3"
RUBY = "/usr/bin/ruby"

_lock = threading.Lock()
passed, failed, seconds = [], [], {}


def attempt(part, *words):
    """One part: whatever it raises is a failure of its own, and the next part goes on."""
    began = time.monotonic()
    name = part.__name__.replace("_", " ")
    try:
        part(*words)
    except Exception as error:
        check(f"{name} runs", False, f"{type(error).__name__}: {error}")
    with _lock:
        seconds[name] = time.monotonic() - began


def check(what, holds, detail=""):
    with _lock:
        if holds:
            passed.append(what)
        else:
            failed.append(what)
            if not isinstance(detail, str):
                detail = "\n".join(str(part) for part in detail) if isinstance(detail, tuple) else str(detail)
            print(f"FAILED: {what}", detail[-2000:], sep="\n" if detail else "", file=sys.stderr, flush=True)


def run(*command, **options):
    """The exit code, and both outputs together."""
    options.setdefault("timeout", 60)
    options.setdefault("stdin", subprocess.DEVNULL)
    result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    return result.returncode, result.stdout
