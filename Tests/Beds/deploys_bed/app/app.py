"""The application for gunicorn and uWSGI. It reads TOKEN once, when it is loaded, and knows its release by heart.

Traits of the question for the token: `limit=N`, of which N in a second are answered and the others get 429; `slash`, with a redirect to the same path
with a slash; `wrapped`, in JSON; `no-store`, with a word to caches; `body`, see `dressed`; `host` and `https`, without which it refuses to answer.
"""
import base64, fcntl, gzip, hmac, os, threading, time

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


def is_over_limit():
    """So many requests in a second, of all workers together."""
    with open(folder + "/asked", "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        now = time.monotonic()
        times = [asked for asked in map(float, file.read().split()) if asked > now - 1]
        if len(times) >= int(traits["limit"]):
            return True
        file.seek(0)
        file.truncate()
        file.write(" ".join(map(str, times + [now])))
        return False


def dressed(body):
    """The token as frameworks and proxies may send it."""
    return {
        "line": lambda: body + b"\r\n", "mark": lambda: b"\xef\xbb\xbf" + body, "quoted": lambda: b'"' + body + b'"', "capitals": body.upper,
        "html": lambda: b"<html><body>" + body + b"</body></html>", "page": lambda: b"<html><body>Please log in</body></html>",
        "gzip": lambda: gzip.compress(body)}.get(traits.get("body"), lambda: body)()


def application(environment, start_response):
    path = environment["PATH_INFO"]
    has_slash = path == "/about/deploy/"
    if has_slash:
        path = "/about/deploy"
    if path != "/":
        if "host" in traits and environment["HTTP_HOST"].partition(":")[0] != traits["host"]:
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"blocked host"]
        if "https" in traits and environment.get("HTTP_X_FORWARDED_PROTO") != "https":
            start_response("301 Moved Permanently", [("Location", f"https://{environment['HTTP_HOST']}{path}")])
            return [b""]
    status, headers, body = "200 OK", [("Content-Type", "text/plain")], "ok"
    if path == "/about/deploy":
        if not hmac.compare_digest(environment.get("HTTP_AUTHORIZATION", ""), credential):
            status, headers, body = "401 Unauthorized", [("WWW-Authenticate", 'Basic realm="deploy"')], "no"
        else:
            body = read(folder + "/current/TOKEN") if "dynamic" in traits else token
            if "limit" in traits and is_over_limit():
                status, headers, body = "429 Too Many Requests", [("Content-Type", "text/plain")], "slow down"
            elif "slash" in traits and not has_slash:
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
    if path == "/about/deploy" and status == "200 OK":
        body = dressed(body)
        headers = headers + ([("Content-Encoding", "gzip")] if traits.get("body") == "gzip" else [])
    start_response(status, headers + [("Content-Length", str(len(body)))])
    return [body]
