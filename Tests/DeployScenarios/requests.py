"""What requests meet with: URLs, caches, several deploys at once, and what cannot be seen from here."""
from scenario import DEPLOY, Remedy, Scenario, bad, good


def unproven(name, server, action, remedy, steps=DEPLOY, **more):
    """A good deploy that cannot be proven as things are."""
    return Scenario(name, server, steps + action, "UNPROVEN", "new", remedy=remedy, **{"timeout": 6, **more})


SCENARIOS = [
    # URLs alone
    good("url-hot", "puma", "hot-restart", agent=False,
         why="no other answer comes after the first right one: five in a row, as ever"),
    good("url-phased", "puma", "phased-restart", traits="slow=1", agent=False, check="--consecutive 12", timeout=30, observe=3,
         why="right and old answers for as long as the restart goes from worker to worker, and none that is old after the verdict"),
    bad("url-lost", "gunicorn", "", "STALE", "old", agent=False,
        why="it was not restarted"),
    bad("url-raises", "gunicorn", "hup", "DOWN", "down", traits="raises", agent=False, timeout=8,
        why="the new workers die, and the master ends with them"),
    bad("url-wrong-password", "gunicorn", "hup", "UNREACHABLE", "new", agent=False, wrong_password=True, timeout=10, reason="--password-file",
        why="who is not let in must not say what is there"),
    bad("url-half-old", "gunicorn", "hup", "MIXED", "mixed", front="haproxy", backends=2, forgotten=True, agent=False, check="--consecutive 12",
        timeout=12, reason="right answers in a row", fools_poll=True,
        why="twelve in a row come now and then by luck, when one asks for long enough: a mixture that was seen is not forgotten"),
    bad("url-one-in-ten-old", "gunicorn", "hup", "MIXED", "mixed", front="haproxy weights=90,10", backends=2, forgotten=True, agent=False,
        check="--consecutive 80", timeout=12, observe=4, fools_poll=True,
        why="one answer in ten is old: more right ones in a row are demanded than luck brings"),

    # Caches
    unproven("url-cached", "gunicorn", "hup", Remedy("no-store", traits="no-store", old_traits="no-store"), front="nginx cache=60s", agent=False,
             steps="release prepare poll switch ", subset=True,
             why="the proxy still answers what it was answered before the deploy"),
    good("url-cache-that-is-asked-not-to", "gunicorn", "hup", front="nginx cache=60s bypass", agent=False, steps="release prepare poll switch ",
         why="the proxy goes to the server when the question wishes for that"),
    good("url-cached-for-a-second", "gunicorn", "hup", front="nginx cache=1s", agent=False, timeout=25,
         why="one answer a second comes from the server, and only these count"),

    # Answers that say how to ask
    good("url-limited", "gunicorn", "hup", traits="limit=5", agent=False, timeout=30, subset=True,
         why="a right answer is not taken back by a later 429, and the next question comes later"),
    unproven("url-limited-to-nothing", "gunicorn", "hup", Remedy("429", traits=""), traits="limit=0", agent=False,
             why="nothing is answered"),
    unproven("url-redirected", "gunicorn", "hup", Remedy("/about/deploy/", path="/about/deploy/"), traits="slash", agent=False,
             why="the application sends on to the same path with a slash: a redirect is no answer"),
    unproven("url-wrong-path", "gunicorn", "hup", Remedy("check that --url leads to the endpoint", path="/about/deploy"), path="/about", agent=False,
             why="another page answers there"),
    unproven("url-wrapped", "gunicorn", "hup", Remedy("answer the token and nothing else", traits=""), traits="wrapped", agent=False,
             why="the token is in JSON: what else the answer says is not known to be of this deploy"),

    # Through a proxy that keeps its connections
    good("puma-hot-kept-by-nginx", "puma", "hot-restart", front="nginx keepalive=8", subset=True,
         why="users' requests come over connections that nginx keeps to the workers"),
    good("puma-phased-kept-by-nginx", "puma", "phased-restart", front="nginx keepalive=8", timeout=20,
         why="the same, worker by worker"),
    good("gunicorn-hup-gthread-kept-by-nginx", "gunicorn", "hup", options="class=gthread", front="nginx keepalive=8", timeout=20,
         why="threads hold the kept connections of an old worker until it ends"),
    good("unicorn-usr2-behind-nginx", "unicorn", "usr2", options="recipe", front="nginx",
         why="Unicorn keeps no connection"),

    # Two deploys, one release
    good("shared-release", "gunicorn", "hup", backends=2, shared=True, subset=True,
         why="two services run one release: the second deploy has the token of the first, and both are proven"),
    good("shared-release-phased", "puma", "phased-restart", backends=2, shared=True, timeout=25,
         why="the same with Puma"),
    bad("shared-release-one-lost", "gunicorn", "hup", "STALE", "new", backends=2, shared=True, forgotten=True,
        why="one of the two was not restarted; one token for both does not hide it. Users of the first get new code"),

    # What cannot be seen from here
    unproven("pid-file-of-a-container", "gunicorn", "hup", Remedy("container's unit", pidfile=""), pidfile="1", asks_url=False, subset=True,
             why="everything on the machine descends from process 1: nothing is asked, and no process is sent the password"),
    unproven("pid-file-of-the-kernel", "gunicorn", "hup", Remedy("container's unit", pidfile=""), pidfile="2", asks_url=False,
             why="a small number that is a process in a container is a thread of the kernel here"),
    unproven("own-network", "gunicorn", "stranger hup", Remedy("--url without --service", agent=False), options="unix network=own", front="nginx",
             why="its listeners are in another network: a server of the same address here is a stranger, which is not asked"),
]
