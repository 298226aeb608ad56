"""The application for gunicorn and uWSGI. It reads TOKEN once, when it is loaded, and knows its release by heart.

Traits of the question for the token: `limit=N`, of which N in a second are answered and the others get 429; `slash`, with a redirect to the same path
with a slash; `wrapped`, in JSON; `no-store`, with a word to caches.
"""
import base64, fcntl, hmac, os, threading, time

release = "@RELEASE@"
here = os.path.dirname(os.path.realpath(__file__))
folder = os.environ.get("BED") or os.path.dirname(os.path.dirname(here))


def read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except FileNotFoundError:
        return "none"


traits = dict(trait.partition("=")[::2] for trait in read(here + "/TRAITS").split())
if "slow" in traits:
    time.sleep(float(traits["slow"]))
if "raises" in traits:
    raise RuntimeError("this release does not boot")
if "one-boots" in traits:
    os.close(os.open(here + "/BOOTED", os.O_CREAT | os.O_EXCL))
if "dies" in traits:
    threading.Timer(float(traits["dies"]), lambda: os._exit(1)).start()

token = read(here + "/TOKEN")
credential = "Basic " + base64.b64encode(("about:" + read(folder + "/password")).encode()).decode()
with open(folder + "/boots", "a") as boots:
    boots.write(f"{time.monotonic()} {os.getpid()} {release} {token}\n")


def is_too_much():
    """Whether all workers together have answered too often in the last second."""
    with open(folder + "/answered", "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        lately = [line for line in file if float(line) > time.monotonic() - 1]
        if len(lately) >= int(traits["limit"]):
            return True
        file.seek(0)
        file.truncate()
        file.writelines([*lately, f"{time.monotonic()}\n"])
        return False


def application(environment, start_response):
    path = environment["PATH_INFO"]
    if path == "/about/deploy/":
        path, traits_of_path = "/about/deploy", {}
    else:
        traits_of_path = traits
    status, headers, body = "200 OK", [("Content-Type", "text/plain")], "ok"
    if path == "/about/deploy":
        if not hmac.compare_digest(environment.get("HTTP_AUTHORIZATION", ""), credential):
            status, headers, body = "401 Unauthorized", [("WWW-Authenticate", 'Basic realm="deploy"')], "no"
        else:
            body = read(folder + "/current/TOKEN") if "dynamic" in traits else token
            if "limit" in traits and is_too_much():
                status, body = "429 Too Many Requests", "slow down"
            elif "slash" in traits_of_path:
                status, headers, body = "301 Moved Permanently", [("Location", path + "/")], ""
            elif "wrapped" in traits:
                headers, body = [("Content-Type", "application/json")], '{"deploy": "' + token + '"}'
            if "no-store" in traits:
                headers = headers + [("Cache-Control", "no-store")]
    elif path == "/whoami":
        body = f"{os.getpid()} {release} {token}"
    elif path == "/slow":
        time.sleep(float(environment["QUERY_STRING"].partition("s=")[2]))
    body = body.encode()
    start_response(status, headers + [("Content-Length", str(len(body)))])
    return [body]
