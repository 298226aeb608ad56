"""The application for gunicorn and uWSGI. It reads TOKEN once, when it is loaded, and knows its release by heart."""
import base64, hmac, os, threading, time

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

# Some take the token from elsewhere than their own code.
token = read(f"{folder}/releases/{traits['token-of']}/TOKEN") if "token-of" in traits else "none"
token = read(here + "/TOKEN") if token == "none" else token
credential = "Basic " + base64.b64encode(("about:" + read(folder + "/password")).encode()).decode()
with open(folder + "/boots", "a") as boots:
    boots.write(f"{time.monotonic()} {os.getpid()} {release} {token}\n")


def application(environment, start_response):
    path = environment["PATH_INFO"]
    status, headers, body = "200 OK", [("Content-Type", "text/plain")], "ok"
    if path == "/about/deploy":
        if not hmac.compare_digest(environment.get("HTTP_AUTHORIZATION", ""), credential):
            status, headers, body = "401 Unauthorized", [("WWW-Authenticate", 'Basic realm="deploy"')], "no"
        else:
            body = read(folder + "/current/TOKEN") if "dynamic" in traits else token
    elif path == "/whoami":
        body = f"{os.getpid()} {release} {token}"
    elif path == "/slow":
        time.sleep(float(environment["QUERY_STRING"].partition("s=")[2]))
    body = body.encode()
    start_response(status, headers + [("Content-Length", str(len(body)))])
    return [body]
