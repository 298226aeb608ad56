"""Good and bad deploys, and what a right verifier says about each.

A scenario is: a server of Tests/Beds/deploys with its options, release 1 that serves, what a deploy tool then does step by step, and

    expect   the verdict; several only where `why` says what makes each of them right
    reason   a word that one of the reasons must hold
    truth    who answers fresh requests in the end, whatever anybody says: `new`, `old`, `mixed` (both) or `down` (some fail or hang); the bed
             looks, and a scenario that turns out otherwise is a fault of this table. Several where it depends on the instant of the look.

The steps:

    release          a new release with `traits` (see the applications in Tests/Beds/deploys_bed/app)
    rewrite          the same, over the release that runs
    prepare          verify-token prepare: the token is written, the baseline taken
    switch           `current` points to the new release
    prune            the old release is removed
    hide-token, put-token   the token file goes away, and comes back
    other            a third release, without a token
    switch=3         `current` points to that
    back             what follows deploys release 1 once more
    stuck=S          a request that keeps an old worker busy for S seconds
    download         a client that takes a large file slowly
    wait=S           nothing, for S seconds
    loaded           until new code was loaded
    everything else  an action of the server
"""
from dataclasses import dataclass, field


@dataclass
class Scenario:
    name: str
    server: str
    steps: str
    expect: str
    truth: str
    why: str = field(kw_only=True)
    options: str = ""
    traits: str = ""  # of the new release
    old_traits: str = ""  # of the release that runs
    timeout: float = 10
    settle: float = 0.3
    watch: float = 0
    prepare: str = ""  # further options of `verify-token prepare`
    check: str = ""  # and of `verify-token check`
    reason: str = ""
    observe: float = 1.5  # how long the bed looks on after the last verdict
    front: str = ""  # what stands in front of the server
    backends: int = 1  # so many servers behind it
    forgotten: bool = False  # the action never reaches the last of them
    wrong_password: bool = False  # `check` is given a wrong one
    agent: bool = True  # False: only the URL is asked
    fools_poll: bool = False  # a plain poll says yes, which the bed has to see
    bad_boot: bool = False  # the new code cannot run, which is to be known soon
    subset: bool = False  # belongs to `make test`


DEPLOY = "release prepare switch "
IN_PLACE = "prepare rewrite "


def good(name, server, action, steps=DEPLOY, **more):
    return Scenario(name, server, steps + action, "VERIFIED", "new", **more)


def bad(name, server, action, expect, truth, steps=DEPLOY, **more):
    more.setdefault("timeout", 8 if more.get("bad_boot") else 6)
    return Scenario(name, server, steps + action, expect, truth, **more)


SCENARIOS = [
    # Puma
    good("puma-hot", "puma", "hot-restart", subset=True,
         why="the master keeps its pid and start time and executes itself anew"),
    good("puma-hot-pwd", "puma", "hot-restart", options="directory=no pwd",
         why="no `directory`, but PWD leads through `current`"),
    good("puma-hot-preload", "puma", "hot-restart", options="preload",
         why="the master loads the new code before it forks"),
    good("puma-hot-slow-boot", "puma", "hot-restart", traits="slow=4", timeout=15,
         why="requests queue for 4 s: new workers that do not answer yet prove nothing"),
    good("puma-hot-no-group", "puma", "hot-restart", options="group=none",
         why="without a control group: found by the pid file"),
    good("puma-phased", "puma", "phased-restart", subset=True,
         why="one worker after the other; titles keep the old release's name"),
    good("puma-phased-slow-boot", "puma", "phased-restart", traits="slow=1.5", timeout=20, observe=6, subset=True,
         why="old workers serve until the last is new"),
    good("puma-phased-within-limits", "puma", "phased-restart", traits="slow=1", timeout=20, observe=4,
         prepare="--probe", check="--max-stall 1s --max-failed 1%",
         why="one worker is down at a time, and nobody waits"),
    good("puma-phased-preload", "puma", "phased-restart", options="preload",
         why="with preload_app Puma makes it a hot restart, and only its log says so"),
    good("puma-phased-fork-worker", "puma", "phased-restart", options="fork_worker", timeout=25,
         why="workers are forked from worker 0 and lose their parent"),
    good("puma-in-place-hot", "puma", "hot-restart", steps=IN_PLACE,
         why="the same folder, new code in it"),
    bad("puma-lost", "puma", "", "STALE", "old", subset=True,
        why="nobody restarted it"),
    bad("puma-in-place-lost", "puma", "", "STALE", "old", steps=IN_PLACE,
        why="new code and token lie in the folder in which old workers stand"),
    bad("puma-hot-raises", "puma", "hot-restart", "CRASH_LOOP", "down", traits="raises", bad_boot=True, subset=True,
        why="the new master starts workers, which die at once"),
    bad("puma-hot-raises-preload", "puma", "hot-restart", "DOWN", "down", traits="raises", options="preload", bad_boot=True, timeout=10,
        why="the master itself loads the code and ends"),
    bad("puma-phased-raises", "puma", "phased-restart", "CRASH_LOOP", "old", traits="raises", bad_boot=True,
        why="worker 0 dies again and again, the others go on with old code"),
    bad("puma-phased-second-fails", "puma", "phased-restart", "CRASH_LOOP", "mixed", traits="one-boots", bad_boot=True, subset=True,
        why="worker 0 is new and well, worker 1 dies at every start, worker 2 is old"),
    bad("puma-hot-dies-later", "puma", "hot-restart", "CRASH_LOOP MIXED IN_PROGRESS DOWN", "new mixed down", traits="dies=2", settle=4,
        timeout=14, observe=3,
        why="every worker is new and right, for 2 s. Which verdict depends on the instant: none may be VERIFIED"),
    bad("puma-hot-no-directory", "puma", "hot-restart", "NEW_PROCESS_OLD_CODE", "old", options="directory=no",
        reason="wrong-directory", subset=True,
        why="without `directory` the master goes back to where it was started"),
    bad("puma-phased-no-directory", "puma", "phased-restart", "NEW_PROCESS_OLD_CODE", "old", options="directory=no", reason="wrong-directory",
        timeout=10,
        why="the same, worker by worker"),
    bad("puma-hot-pruned", "puma", "prune hot-restart", "DOWN", "down", options="directory=no", timeout=10,
        why="the folder to go back to is gone"),
    bad("puma-phased-stuck", "puma", "stuck=60 release prepare switch phased-restart", "MIXED STALE IN_PROGRESS", "old mixed new", steps="",
        why="the stuck worker is waited for before the next is replaced. STALE when it is the first; when it is the last, no listener is left to "
            "an old worker, but one new worker is missing"),
    bad("puma-dynamic-lost", "puma", "", "DYNAMIC_TOKEN", "old", old_traits="dynamic", subset=True, fools_poll=True,
        why="an old worker answers the new token: it reads the file on every request"),
    Scenario("puma-dynamic-hot", "puma", DEPLOY + "hot-restart", "VERIFIED DYNAMIC_TOKEN", "new", old_traits="dynamic", traits="dynamic",
             why="the restart works. DYNAMIC_TOKEN when the look meets an old worker after the switch"),
    bad("puma-token-late", "puma", "release prepare hide-token switch hot-restart loaded put-token", "NEW_PROCESS_OLD_CODE", "new", steps="",
        reason="token-missing",
        why="new code, but it booted before TOKEN was there: it can prove nothing"),
    bad("puma-prepared-late", "puma", "release switch hot-restart loaded wait=1 prepare", "STALE", "new", steps="",
        why="nothing was started since prepare: no evidence of this deploy can exist"),
    bad("puma-no-endpoint", "puma", "hot-restart", "NEW_PROCESS_OLD_CODE UNPROVEN", "new", traits="no-endpoint", timeout=8,
        why="the new code has no endpoint and answers `ok` to everything: it is new code, or it is not, and cannot say"),
    bad("puma-wrong-password", "puma", "hot-restart", "UNREACHABLE", "new", wrong_password=True, timeout=10,
        why="who cannot look must not say what is there"),
    bad("puma-terminated", "puma", "terminate", "DOWN", "down", timeout=10,
        why="it was stopped and never started"),
    good("puma-cold", "puma", "cold-restart", timeout=15,
         why="stopped and started: an outage, but new code"),
    good("puma-single", "puma", "hot-restart", options="workers=0", subset=True,
         why="no workers: the process with the listener is the worker"),
    bad("puma-single-lost", "puma", "", "STALE", "old", options="workers=0",
        why="nobody restarted it"),

    # Unicorn
    good("unicorn-usr2", "unicorn", "usr2", options="recipe", subset=True,
         why="with the recipe: the first new worker sends the old master away"),
    good("unicorn-usr2-preload", "unicorn", "usr2", options="recipe preload",
         why="with preload the recipe is gapless"),
    good("unicorn-usr2-then-quit", "unicorn", "usr2-then-quit",
         why="the deploy tool sends the old master away"),
    good("unicorn-usr2-slow-boot", "unicorn", "usr2", options="recipe", traits="slow=4", timeout=15,
         why="the recipe sends the old workers away 4 s before the new ones answer"),
    Scenario("unicorn-usr2-over-limits", "unicorn", DEPLOY + "usr2", "SLO_BREACHED", "new", options="recipe", traits="slow=3", timeout=15,
             prepare="--probe", check="--max-stall 1s", subset=True,
             why="the new code runs, and for 3 s nobody was answered"),
    good("unicorn-usr2-no-group", "unicorn", "usr2", options="recipe group=none",
         why="without a control group: the pid file names the new master"),
    good("unicorn-hup", "unicorn", "hup",
         why="the same master forks new workers, which load the code themselves"),
    good("unicorn-hup-preload", "unicorn", "hup", options="preload",
         why="the master goes through `current` again and finds code that it has not loaded yet"),
    good("unicorn-stuck-for-5-s", "unicorn", "stuck=5 release prepare switch usr2", steps="", options="recipe", timeout=15,
         observe=6,
         why="verified when the old worker's request has ended: until then it may take another, and sometimes does"),
    bad("unicorn-stuck-for-ever", "unicorn", "stuck=60 release prepare switch usr2", "MIXED", "new", steps="", options="recipe", subset=True,
        why="an old worker that holds the listener may accept the next request, whatever it was told"),
    bad("unicorn-stuck-no-group", "unicorn", "stuck=60 release prepare switch usr2", "MIXED", "new", steps="", options="recipe group=none",
        why="the same when the pid file names the new master and nothing but the old processes themselves leads to them"),
    bad("unicorn-lost", "unicorn", "", "STALE", "old",
        why="nobody restarted it"),
    bad("unicorn-usr2-no-recipe", "unicorn", "usr2", "MIXED", "mixed", subset=True,
        why="two generations side by side"),
    bad("unicorn-usr2-no-recipe-no-group", "unicorn", "usr2", "MIXED", "mixed", options="group=none", subset=True,
        why="the same; the pid file names the new master, and the old generation is below another one"),
    bad("unicorn-usr2-raises-preload", "unicorn", "usr2", "STALE", "old", options="recipe preload", traits="raises", bad_boot=True,
        why="the new master dies, the old generation goes on"),
    bad("unicorn-usr2-raises", "unicorn", "usr2", "CRASH_LOOP", "down", options="recipe", traits="raises", bad_boot=True, subset=True,
        why="the first new worker has sent the old master away before it dies"),
    bad("unicorn-usr2-second-fails", "unicorn", "usr2", "CRASH_LOOP", "new mixed", options="recipe", traits="one-boots", bad_boot=True,
        why="one new worker serves, the others die at every start"),
    bad("unicorn-hup-preload-in-place", "unicorn", "hup", "NEW_PROCESS_OLD_CODE", "old", steps=IN_PLACE, options="preload", reason="preload",
        subset=True,
        why="the master has this file loaded already"),
    bad("unicorn-hup-no-directory", "unicorn", "hup", "NEW_PROCESS_OLD_CODE", "old", options="directory=no", reason="wrong-directory",
        why="without working_directory the master stays in the old release"),
    bad("unicorn-usr2-no-directory", "unicorn", "usr2", "NEW_PROCESS_OLD_CODE", "old", options="directory=no recipe", reason="wrong-directory",
        why="the new master goes back to the old release"),
    bad("unicorn-usr2-pruned", "unicorn", "prune usr2", "STALE", "old", options="directory=no recipe",
        why="the new master cannot be started in a folder that is gone"),

    bad("unicorn-wrong-release", "unicorn", "release prepare other switch=3 usr2", "NEW_PROCESS_OLD_CODE", "old", steps="", options="recipe",
        why="the link points to another release"),

    # gunicorn
    good("gunicorn-hup", "gunicorn", "hup", subset=True,
         why="the same master forks new workers"),
    good("gunicorn-hup-gthread", "gunicorn", "hup", options="class=gthread", subset=True,
         why="threads: the kernel gives some workers hardly any request"),
    good("gunicorn-hup-slow-boot", "gunicorn", "hup", traits="slow=4", timeout=15,
         why="the old workers leave at once, the new ones answer 4 s later"),
    good("gunicorn-usr2-then-term", "gunicorn", "usr2-then-term",
         why="a second master, and the first sent away"),
    good("gunicorn-usr2-then-term-preload", "gunicorn", "usr2-then-term", options="preload",
         why="a second master loads the new code, and forks"),
    good("gunicorn-usr2-then-term-no-group", "gunicorn", "usr2-then-term", options="group=none",
         why="without a control group: the pid file names the new master"),
    good("gunicorn-in-place-hup", "gunicorn", "hup", steps=IN_PLACE,
         why="the workers load what lies in the folder now"),
    bad("gunicorn-lost", "gunicorn", "", "STALE", "old",
        why="nobody restarted it"),
    bad("gunicorn-hup-preload", "gunicorn", "hup", "NEW_PROCESS_OLD_CODE", "old", options="preload", reason="preload", subset=True,
        why="new processes in the new release, forked from a master with old code"),
    bad("gunicorn-hup-preload-gthread", "gunicorn", "hup", "NEW_PROCESS_OLD_CODE", "old", options="preload class=gthread", reason="preload",
        why="the same with threads"),
    bad("gunicorn-hup-no-directory", "gunicorn", "hup", "NEW_PROCESS_OLD_CODE", "old", options="directory=no", reason="wrong-directory",
        why="without chdir the workers stand in the old release"),
    bad("gunicorn-hup-raises", "gunicorn", "hup", "DOWN CRASH_LOOP", "down", traits="raises", bad_boot=True, timeout=10, subset=True,
        why="three workers die at boot and the master ends because of it: a crash loop while it lasts, an outage afterwards"),
    bad("gunicorn-hup-second-fails", "gunicorn", "hup", "DOWN CRASH_LOOP", "down", traits="one-boots", bad_boot=True, timeout=10,
        why="one worker that fails to boot ends them all"),
    bad("gunicorn-usr2-only", "gunicorn", "usr2", "MIXED", "mixed",
        why="nobody sent the first master away"),
    bad("gunicorn-usr2-only-no-group", "gunicorn", "usr2", "MIXED", "mixed", options="group=none",
        why="the same, found by the pid file"),
    bad("gunicorn-usr2-raises", "gunicorn", "usr2", "STALE", "old", traits="raises", bad_boot=True,
        why="the new master ends with its workers, the old one goes on"),
    bad("gunicorn-hup-dies-later", "gunicorn", "hup", "CRASH_LOOP MIXED IN_PROGRESS DOWN", "new mixed down", traits="dies=2", watch=4,
        timeout=14, observe=3,
        why="every worker is new and right, for 2 s; seen because it is watched for 4 s more. Which verdict depends on the instant: none may be "
            "VERIFIED"),
    bad("gunicorn-hup-stuck", "gunicorn", "stuck=60 release prepare switch hup", "MIXED", "new", steps="",
        why="an old worker holds the listener until its request ends"),
    bad("gunicorn-dynamic-lost", "gunicorn", "", "DYNAMIC_TOKEN", "old", old_traits="dynamic", fools_poll=True,
        why="old workers read the file on every request"),
    bad("gunicorn-token-late", "gunicorn", "release prepare hide-token switch hup loaded put-token", "NEW_PROCESS_OLD_CODE", "new", steps="",
        reason="token-missing",
        why="new code, but it booted before TOKEN was there"),

    good("gunicorn-hup-twice", "gunicorn", "hup wait=0.4 hup",
         why="an impatient deploy tool"),
    good("gunicorn-rollback", "gunicorn", "release switch hup loaded back prepare switch hup", steps="",
         why="back to the release before, with a new token"),
    good("gunicorn-socket", "gunicorn", "hup", options="unix", front="nginx",
         why="workers behind a Unix socket, nginx in front"),
    bad("gunicorn-socket-lost", "gunicorn", "", "STALE", "old", options="unix", front="nginx",
        why="nobody restarted it"),
    bad("gunicorn-socket-preload", "gunicorn", "hup", "NEW_PROCESS_OLD_CODE", "old", options="unix preload", front="nginx", reason="preload",
        why="new processes with old code, behind a Unix socket"),

    # uWSGI
    good("uwsgi-hup", "uwsgi", "hup", subset=True,
         why="the master keeps its pid and executes itself anew"),
    good("uwsgi-hup-slow-boot", "uwsgi", "hup", traits="slow=4", timeout=15,
         why="all requests wait for 4 s"),
    good("uwsgi-hup-lazy", "uwsgi", "hup", options="lazy",
         why="every worker loads the code itself"),
    good("uwsgi-chain-in-place", "uwsgi", "chain-reload", steps=IN_PLACE, options="lazy", timeout=15, observe=5,
         why="workers load what lies in the folder now, one after the other"),
    bad("uwsgi-lost", "uwsgi", "", "STALE", "old",
        why="nobody restarted it"),
    bad("uwsgi-chain", "uwsgi", "chain-reload", "NEW_PROCESS_OLD_CODE", "old", options="lazy", reason="wrong-directory", timeout=12, subset=True,
        why="workers come from a master that stands in the old release"),
    bad("uwsgi-hup-raises", "uwsgi", "hup", "DOWN", "down", traits="raises", bad_boot=True, timeout=10,
        why="with need-app the master ends"),
    bad("uwsgi-hup-no-directory", "uwsgi", "hup", "NEW_PROCESS_OLD_CODE", "old", options="directory=no", reason="wrong-directory",
        why="without chdir it starts again where it was started"),

    # nginx: the release is its configuration
    good("nginx-hup", "nginx", "hup", subset=True,
         why="new workers with the new configuration"),
    good("nginx-hup-download", "nginx", "download release prepare switch hup", steps="",
         why="an old worker without a listener finishes its download: it drains"),
    good("nginx-upgrade", "nginx", "upgrade",
         why="a new binary beside the old one, which is sent away"),
    bad("nginx-lost", "nginx", "", "STALE", "old",
        why="nobody reloaded it"),
    bad("nginx-hup-broken", "nginx", "hup", "STALE", "old", traits="raises", subset=True,
        why="the master refuses a configuration with a fault and goes on"),
    bad("nginx-upgrade-daemon-off", "nginx", "upgrade", "DOWN", "down", options="daemon=off", timeout=10,
        why="with `daemon off` it ignores the upgrade, and obeys the QUIT that follows"),
    bad("nginx-upgrade-bare", "nginx", "upgrade", "DOWN", "down", options="path=no", timeout=10,
        why="started as `nginx` it cannot execute itself, and obeys the QUIT that follows"),
    bad("nginx-static-token", "nginx", "", "DYNAMIC_TOKEN", "old", options="static", fools_poll=True,
        why="TOKEN served as a file: it says what lies there, not what runs"),

    # HAProxy
    good("haproxy-reload", "haproxy", "reload", subset=True,
         why="the master, which holds no listener, executes itself and starts a new worker"),
    bad("haproxy-lost", "haproxy", "", "STALE", "old",
        why="nobody reloaded it"),
    bad("haproxy-reload-broken", "haproxy", "reload", "STALE", "old", traits="raises",
        why="the master refuses a configuration with a fault, the old worker goes on"),

    # Three servers behind HAProxy
    good("balancer", "gunicorn", "hup", front="haproxy", backends=3, timeout=15,
         why="all three"),
    bad("balancer-one-stale", "gunicorn", "hup", "STALE", "mixed", front="haproxy", backends=3, forgotten=True, subset=True,
        why="the third was forgotten: two verdicts are VERIFIED, the worst counts"),
    bad("balancer-one-stale-url-only", "gunicorn", "hup", "MIXED STALE", "mixed", front="haproxy", backends=3, forgotten=True, agent=False,
        check="--consecutive 40",
        why="answers alternate. From outside nobody can tell one stale worker from one stale server"),
    good("balancer-url-only", "gunicorn", "hup", front="haproxy", backends=3, agent=False, check="--consecutive 40", timeout=15,
         why="40 right answers in a row from three servers"),
]
