"""Good and bad deploys, and what a right verifier says about each.

A scenario is: a server of Tests/Beds/deploys with its options, release 1 that serves, what a deploy tool then does step by step, and

    expect   the verdict; several only where `why` says what makes each of them right
    reason   a word that the verdict's reasons must hold
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
    why: str
    options: str = ""
    traits: str = ""  # of the new release
    old_traits: str = ""  # of the release that runs
    timeout: float = 10
    settle: float = 0.3
    watch: float = 0
    check: str = ""  # further options of `verify-token check`
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


def good(name, server, action, why, steps=DEPLOY, **more):
    return Scenario(name, server, steps + action, "VERIFIED", "new", why, **more)


def bad(name, server, action, expect, truth, why, steps=DEPLOY, timeout=6, **more):
    return Scenario(name, server, steps + action, expect, truth, why, timeout=timeout, **more)


SCENARIOS = [
    # Puma
    good("puma-hot", "puma", "hot-restart", "the master keeps its pid and start time and executes itself anew", subset=True),
    good("puma-hot-pwd", "puma", "hot-restart", "no `directory`, but PWD leads through `current`", options="directory=no pwd"),
    good("puma-hot-preload", "puma", "hot-restart", "the master loads the new code before it forks", options="preload"),
    good("puma-hot-slow-boot", "puma", "hot-restart", "requests queue for 4 s: new workers that do not answer yet prove nothing", traits="slow=4", timeout=15),
    good("puma-hot-no-group", "puma", "hot-restart", "without a control group: found by the pid file", options="group=none"),
    good("puma-phased", "puma", "phased-restart", "one worker after the other; titles keep the old release's name", subset=True),
    good("puma-phased-slow-boot", "puma", "phased-restart", "old workers serve until the last is new", traits="slow=1.5", timeout=20,
         observe=6, subset=True),
    good("puma-phased-preload", "puma", "phased-restart", "with preload_app Puma makes it a hot restart, and only its log says so", options="preload"),
    good("puma-phased-fork-worker", "puma", "phased-restart", "workers are forked from worker 0 and lose their parent", options="fork_worker", timeout=25),
    good("puma-in-place-hot", "puma", "hot-restart", "the same folder, new code in it", steps=IN_PLACE),
    bad("puma-lost", "puma", "", "STALE", "old", "nobody restarted it", subset=True),
    bad("puma-in-place-lost", "puma", "", "STALE", "old", "new code and token lie in the folder in which old workers stand", steps=IN_PLACE),
    bad("puma-hot-raises", "puma", "hot-restart", "CRASH_LOOP", "down", "the new master starts workers, which die at once", traits="raises",
        bad_boot=True, subset=True),
    bad("puma-hot-raises-preload", "puma", "hot-restart", "DOWN", "down", "the master itself loads the code and ends", traits="raises", options="preload",
        bad_boot=True, timeout=10),
    bad("puma-phased-raises", "puma", "phased-restart", "CRASH_LOOP", "old", "worker 0 dies again and again, the others go on with old code", traits="raises",
        bad_boot=True),
    bad("puma-phased-second-fails", "puma", "phased-restart", "CRASH_LOOP", "mixed", "worker 0 is new and well, worker 1 dies at every start, worker 2 is old",
        traits="one-boots", bad_boot=True, subset=True),
    bad("puma-hot-dies-later", "puma", "hot-restart", "CRASH_LOOP MIXED IN_PROGRESS DOWN", "new mixed down",
        "every worker is new and right, for 2 s. Which verdict depends on the instant: none may be VERIFIED", traits="dies=2", settle=4, timeout=14, observe=3),
    bad("puma-hot-no-directory", "puma", "hot-restart", "NEW_PROCESS_OLD_CODE", "old", "without `directory` the master goes back to where it was started",
        options="directory=no", reason="directory", subset=True),
    bad("puma-phased-no-directory", "puma", "phased-restart", "NEW_PROCESS_OLD_CODE", "old", "the same, worker by worker", options="directory=no",
        reason="directory", timeout=10),
    bad("puma-hot-pruned", "puma", "prune hot-restart", "DOWN", "down", "the folder to go back to is gone", options="directory=no", timeout=10),
    bad("puma-phased-stuck", "puma", "stuck=60 release prepare switch phased-restart", "MIXED STALE IN_PROGRESS", "old mixed new",
        "the stuck worker is waited for before the next is replaced. STALE when it is the first; when it is the last, no listener is left to an old worker, but one "
        "new worker is missing", steps=""),
    bad("puma-dynamic-lost", "puma", "", "DYNAMIC_TOKEN", "old", "an old worker answers the new token: it reads the file on every request",
        old_traits="dynamic", subset=True, fools_poll=True),
    Scenario("puma-dynamic-hot", "puma", DEPLOY + "hot-restart", "VERIFIED DYNAMIC_TOKEN", "new",
             "the restart works. DYNAMIC_TOKEN when the look meets an old worker after the switch", old_traits="dynamic", traits="dynamic"),
    bad("puma-token-late", "puma", "release prepare hide-token switch hot-restart loaded put-token", "NEW_PROCESS_OLD_CODE", "new",
        "new code, but it booted before TOKEN was there: it can prove nothing", steps="", reason="token-missing"),
    bad("puma-prepared-late", "puma", "release switch hot-restart loaded wait=1 prepare", "STALE", "new",
        "nothing was started since prepare: no evidence of this deploy can exist", steps=""),

    bad("puma-no-endpoint", "puma", "hot-restart", "NEW_PROCESS_OLD_CODE UNPROVEN", "new",
        "the new code has no endpoint and answers `ok` to everything: it is new code, or it is not, and cannot say", traits="no-endpoint", timeout=8),
    bad("puma-wrong-password", "puma", "hot-restart", "UNREACHABLE", "new", "who cannot look must not say what is there", wrong_password=True, timeout=10),
    bad("puma-terminated", "puma", "terminate", "DOWN", "down", "it was stopped and never started", timeout=10),
    good("puma-cold", "puma", "cold-restart", "stopped and started: an outage, but new code", timeout=15),
    good("puma-single", "puma", "hot-restart", "no workers: the process with the listener is the worker", options="workers=0", subset=True),
    bad("puma-single-lost", "puma", "", "STALE", "old", "nobody restarted it", options="workers=0"),

    # Unicorn
    good("unicorn-usr2", "unicorn", "usr2", "with the recipe: the first new worker sends the old master away", options="recipe", subset=True),
    good("unicorn-usr2-preload", "unicorn", "usr2", "with preload the recipe is gapless", options="recipe preload"),
    good("unicorn-usr2-then-quit", "unicorn", "usr2-then-quit", "the deploy tool sends the old master away"),
    good("unicorn-usr2-slow-boot", "unicorn", "usr2", "the recipe sends the old workers away 4 s before the new ones answer", options="recipe", traits="slow=4",
         timeout=15),
    good("unicorn-usr2-no-group", "unicorn", "usr2", "without a control group: the pid file names the new master", options="recipe group=none"),
    good("unicorn-hup", "unicorn", "hup", "the same master forks new workers, which load the code themselves"),
    good("unicorn-hup-preload", "unicorn", "hup", "the master goes through `current` again and finds code that it has not loaded yet", options="preload"),
    good("unicorn-stuck-for-5-s", "unicorn", "stuck=5 release prepare switch usr2", "verified when the old worker's request has ended", steps="",
         options="recipe", timeout=15),
    bad("unicorn-stuck-for-ever", "unicorn", "stuck=60 release prepare switch usr2", "MIXED", "new",
        "an old worker that holds the listener may accept the next request, whatever it was told", steps="", options="recipe", subset=True),
    bad("unicorn-lost", "unicorn", "", "STALE", "old", "nobody restarted it"),
    bad("unicorn-usr2-no-recipe", "unicorn", "usr2", "MIXED", "mixed", "two generations side by side", subset=True),
    bad("unicorn-usr2-raises-preload", "unicorn", "usr2", "STALE", "old", "the new master dies, the old generation goes on", options="recipe preload",
        traits="raises", bad_boot=True),
    bad("unicorn-usr2-raises", "unicorn", "usr2", "CRASH_LOOP", "down", "the first new worker has sent the old master away before it dies", options="recipe",
        traits="raises", bad_boot=True, subset=True),
    bad("unicorn-usr2-second-fails", "unicorn", "usr2", "CRASH_LOOP", "new mixed", "one new worker serves, the others die at every start", options="recipe",
        traits="one-boots", bad_boot=True),
    bad("unicorn-hup-preload-in-place", "unicorn", "hup", "NEW_PROCESS_OLD_CODE", "old", "the master has this file loaded already", steps=IN_PLACE,
        options="preload", reason="preload", subset=True),
    bad("unicorn-hup-no-directory", "unicorn", "hup", "NEW_PROCESS_OLD_CODE", "old", "without working_directory the master stays in the old release",
        options="directory=no", reason="directory"),
    bad("unicorn-usr2-no-directory", "unicorn", "usr2", "NEW_PROCESS_OLD_CODE", "old", "the new master goes back to the old release",
        options="directory=no recipe", reason="directory"),
    bad("unicorn-usr2-pruned", "unicorn", "prune usr2", "STALE", "old", "the new master cannot be started in a folder that is gone", options="directory=no recipe"),

    bad("unicorn-wrong-release", "unicorn", "release prepare other switch=3 usr2", "NEW_PROCESS_OLD_CODE", "old", "the link points to another release", steps="",
        options="recipe"),

    # gunicorn
    good("gunicorn-hup", "gunicorn", "hup", "the same master forks new workers", subset=True),
    good("gunicorn-hup-gthread", "gunicorn", "hup", "threads: the kernel gives some workers hardly any request", options="class=gthread", subset=True),
    good("gunicorn-hup-slow-boot", "gunicorn", "hup", "the old workers leave at once, the new ones answer 4 s later", traits="slow=4", timeout=15),
    good("gunicorn-usr2-then-term", "gunicorn", "usr2-then-term", "a second master, and the first sent away"),
    good("gunicorn-usr2-then-term-preload", "gunicorn", "usr2-then-term", "a second master loads the new code, and forks", options="preload"),
    good("gunicorn-usr2-then-term-no-group", "gunicorn", "usr2-then-term", "without a control group: the pid file names the new master", options="group=none"),
    good("gunicorn-in-place-hup", "gunicorn", "hup", "the workers load what lies in the folder now", steps=IN_PLACE),
    bad("gunicorn-lost", "gunicorn", "", "STALE", "old", "nobody restarted it"),
    bad("gunicorn-hup-preload", "gunicorn", "hup", "NEW_PROCESS_OLD_CODE", "old", "new processes in the new release, forked from a master with old code",
        options="preload", reason="preload", subset=True),
    bad("gunicorn-hup-preload-gthread", "gunicorn", "hup", "NEW_PROCESS_OLD_CODE", "old", "the same with threads", options="preload class=gthread",
        reason="preload"),
    bad("gunicorn-hup-no-directory", "gunicorn", "hup", "NEW_PROCESS_OLD_CODE", "old", "without chdir the workers stand in the old release",
        options="directory=no", reason="directory"),
    bad("gunicorn-hup-raises", "gunicorn", "hup", "DOWN CRASH_LOOP", "down",
        "three workers die at boot and the master ends because of it: a crash loop while it lasts, an outage afterwards", traits="raises", bad_boot=True, timeout=10,
        subset=True),
    bad("gunicorn-hup-second-fails", "gunicorn", "hup", "DOWN CRASH_LOOP", "down", "one worker that fails to boot ends them all", traits="one-boots",
        bad_boot=True, timeout=10),
    bad("gunicorn-usr2-only", "gunicorn", "usr2", "MIXED", "mixed", "nobody sent the first master away"),
    bad("gunicorn-usr2-raises", "gunicorn", "usr2", "STALE", "old", "the new master ends with its workers, the old one goes on", traits="raises", bad_boot=True),
    bad("gunicorn-hup-dies-later", "gunicorn", "hup", "CRASH_LOOP MIXED IN_PROGRESS DOWN", "new mixed down",
        "every worker is new and right, for 2 s; seen because it is watched for 4 s more. Which verdict depends on the instant: none may be VERIFIED",
        traits="dies=2", watch=4, timeout=14, observe=3),
    bad("gunicorn-hup-stuck", "gunicorn", "stuck=60 release prepare switch hup", "MIXED", "new", "an old worker holds the listener until its request ends", steps=""),
    bad("gunicorn-dynamic-lost", "gunicorn", "", "DYNAMIC_TOKEN", "old", "old workers read the file on every request", old_traits="dynamic", fools_poll=True),
    bad("gunicorn-token-late", "gunicorn", "release prepare hide-token switch hup loaded put-token", "NEW_PROCESS_OLD_CODE", "new",
        "new code, but it booted before TOKEN was there", steps="", reason="token-missing"),

    good("gunicorn-hup-twice", "gunicorn", "hup wait=0.4 hup", "an impatient deploy tool"),
    good("gunicorn-rollback", "gunicorn", "release switch hup loaded back prepare switch hup", "back to the release before, with a new token", steps=""),
    good("gunicorn-socket", "gunicorn", "hup", "workers behind a Unix socket, nginx in front", options="unix", front="nginx"),
    bad("gunicorn-socket-lost", "gunicorn", "", "STALE", "old", "nobody restarted it", options="unix", front="nginx"),
    bad("gunicorn-socket-preload", "gunicorn", "hup", "NEW_PROCESS_OLD_CODE", "old", "new processes with old code, behind a Unix socket", options="unix preload",
        front="nginx", reason="preload"),

    # uWSGI
    good("uwsgi-hup", "uwsgi", "hup", "the master keeps its pid and executes itself anew", subset=True),
    good("uwsgi-hup-slow-boot", "uwsgi", "hup", "all requests wait for 4 s", traits="slow=4", timeout=15),
    good("uwsgi-hup-lazy", "uwsgi", "hup", "every worker loads the code itself", options="lazy"),
    good("uwsgi-chain-in-place", "uwsgi", "chain-reload", "workers load what lies in the folder now, one after the other", steps=IN_PLACE, options="lazy", timeout=15,
         observe=5),
    bad("uwsgi-lost", "uwsgi", "", "STALE", "old", "nobody restarted it"),
    bad("uwsgi-chain", "uwsgi", "chain-reload", "NEW_PROCESS_OLD_CODE", "old", "workers come from a master that stands in the old release", options="lazy",
        reason="directory", timeout=12, subset=True),
    bad("uwsgi-hup-raises", "uwsgi", "hup", "DOWN", "down", "with need-app the master ends", traits="raises", bad_boot=True, timeout=10),
    bad("uwsgi-hup-no-directory", "uwsgi", "hup", "NEW_PROCESS_OLD_CODE", "old", "without chdir it starts again where it was started", options="directory=no",
        reason="directory"),

    # nginx: the release is its configuration
    good("nginx-hup", "nginx", "hup", "new workers with the new configuration", subset=True),
    good("nginx-hup-download", "nginx", "download release prepare switch hup", "an old worker without a listener finishes its download: it drains", steps=""),
    good("nginx-upgrade", "nginx", "upgrade", "a new binary beside the old one, which is sent away"),
    bad("nginx-lost", "nginx", "", "STALE", "old", "nobody reloaded it"),
    bad("nginx-hup-broken", "nginx", "hup", "STALE", "old", "the master refuses a configuration with a fault and goes on", traits="raises", subset=True),
    bad("nginx-upgrade-daemon-off", "nginx", "upgrade", "DOWN", "down", "with `daemon off` it ignores the upgrade, and obeys the QUIT that follows",
        options="daemon=off", timeout=10),
    bad("nginx-upgrade-bare", "nginx", "upgrade", "DOWN", "down", "started as `nginx` it cannot execute itself, and obeys the QUIT that follows",
        options="path=no", timeout=10),
    bad("nginx-static-token", "nginx", "", "DYNAMIC_TOKEN", "old", "TOKEN served as a file: it says what lies there, not what runs", options="static", fools_poll=True),

    # HAProxy
    good("haproxy-reload", "haproxy", "reload", "the master, which holds no listener, executes itself and starts a new worker", subset=True),
    bad("haproxy-lost", "haproxy", "", "STALE", "old", "nobody reloaded it"),
    bad("haproxy-reload-broken", "haproxy", "reload", "STALE", "old", "the master refuses a configuration with a fault, the old worker goes on", traits="raises"),

    # Three servers behind HAProxy
    good("balancer", "gunicorn", "hup", "all three", front="haproxy", backends=3, timeout=15),
    bad("balancer-one-stale", "gunicorn", "hup", "STALE", "mixed", "the third was forgotten: two verdicts are VERIFIED, the worst counts", front="haproxy", backends=3,
        forgotten=True, subset=True),
    bad("balancer-one-stale-url-only", "gunicorn", "hup", "MIXED STALE", "mixed",
        "answers alternate. From outside nobody can tell one stale worker from one stale server", front="haproxy", backends=3, forgotten=True, agent=False,
        check="--consecutive 20"),
    good("balancer-url-only", "gunicorn", "hup", "20 right answers in a row from three servers", front="haproxy", backends=3, agent=False, check="--consecutive 20", timeout=15),
]
