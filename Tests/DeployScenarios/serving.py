"""Who serves: processes that accept, that pass on, that are left over; and which code those run."""
from scenario import IN_PLACE, Remedy, bad, good

SCENARIOS = [
    # Who holds the listener and takes nothing from it
    good("puma-jobs-hot", "puma+jobs", "hot-restart", options="workers=0",
         why="what its plugin has forked holds the listener, and accepts nothing"),
    good("puma-jobs-preload-hot", "puma+jobs", "hot-restart", options="preload",
         why="the same beside workers"),
    good("puma-jobs-phased", "puma+jobs", "phased-restart", subset=True,
         why="the supervisor of jobs outlives a phased restart, and is no old worker"),
    good("puma-control-phased", "puma+control", "phased-restart", subset=True,
         why="the main process denies its control listener to strangers: no worker denies anything"),
    good("puma-control-hot", "puma+control", "hot-restart", options="workers=0",
         why="one process with both listeners"),
    bad("puma-jobs-lost", "puma+jobs", "", "STALE", "old",
        why="it was not restarted"),
    good("gunicorn-helper", "gunicorn+helper", "hup",
         why="`sleep` has inherited the listener from the old code"),
    bad("gunicorn-helper-stuck", "gunicorn+helper", "stuck=60 release prepare switch hup", "MIXED", "new", steps="",
        why="an old worker that is busy waits for other things than connections too: it is no helper"),

    # Who passes on
    good("node-robin-reload", "node", "rolling-reload", options="cluster=robin", subset=True,
         why="the main process accepts and hands each connection over; it stays, and its workers are new"),
    bad("node-robin-half", "node", "rolling-reload", "MIXED", "mixed", options="cluster=robin half",
        why="one of two workers was replaced"),
    bad("node-robin-lost", "node", "", "STALE", "old", options="cluster=robin",
        why="it was not reloaded"),
    good("node-shared-reload", "node", "rolling-reload", options="cluster=shared",
         why="workers accept themselves"),
    good("uwsgi-router-hup", "uwsgi+router", "hup",
         why="a router accepts, the workers behind it are judged"),
    good("uwsgi-router-chain-in-place", "uwsgi+router", "chain-reload", steps=IN_PLACE, options="lazy", timeout=15, observe=5,
         why="the router stays and answers the new token: it passes on, and reads nothing on every request"),
    bad("uwsgi-router-lost", "uwsgi+router", "", "STALE", "old",
        why="it was not reloaded"),

    # Old workers that take nothing new, and answer on connections that are kept
    bad("node-kept-connections", "node", "rolling-reload", "MIXED", "mixed", options="cluster=shared keeps", timeout=8,
        reason="still answers new requests",
        why="old workers have no listener any more, and their clients go on"),
    bad("node-kept-connections-wait", "node", "rolling-reload", "MIXED", "mixed", options="cluster=shared keeps", timeout=8, check="--drain wait:2s",
        reason="still answers new requests",
        why="waiting for them for a while changes nothing"),

    # Who else serves
    bad("gunicorn-stray", "gunicorn+shared-port", "stray release prepare switch hup", "MIXED", "mixed", steps="", subset=True,
        reason="is not of the service",
        why="a second generation outside of the service takes half of the connections"),
    bad("gunicorn-stray-agent-alone", "gunicorn+shared-port", "stray release prepare switch hup", "MIXED UNPROVEN", "mixed", steps="",
        asks_url=False, reason="is not of the service",
        why="the same when only the agent is asked: it is sent no password, and so does not say what it is"),
    good("gunicorn-shared-port", "gunicorn+shared-port", "hup",
         why="a port that others might share, and none does"),

    # Where it serves
    bad("node-another-port", "node", "cold-restart", "DOWN", "down", traits="port=1", asks_url=False, timeout=12,
        reason="does not listen at",
        why="new code, right in all, at an address where no client asks"),
    bad("node-only-ipv6", "node", "cold-restart", "DOWN", "down", traits="host=::1", asks_url=False, timeout=12,
        reason="does not listen at",
        why="it listens at ::1 alone"),
    good("node-all-addresses", "node", "cold-restart", traits="host=::", timeout=15,
         why="a listener at all addresses of both families serves where the old one did"),

    # A right answer, and a wrong place
    bad("node-old-script", "node", "cold-restart", "NEW_PROCESS_OLD_CODE", "old", options="script=fixed", timeout=10,
        why="the working directory follows the link, the script does not"),
    bad("node-old-script-by-process", "node", "cold-restart", "NEW_PROCESS_OLD_CODE", "old", options="script=fixed", timeout=10,
        check="--evidence process", reason="of another release",
        why="the same when processes are to decide: what they answer is heard all the same"),
    bad("node-old-script-new-token", "node", "cold-restart", "UNPROVEN", "old", options="script=fixed", old_traits="token-by-link", timeout=8,
        fools_poll=True, reason="executes",
        why="the old script reads the token through the link"),
    bad("gunicorn-link-forgotten", "gunicorn", "release prepare cold-restart", "UNPROVEN", "old", steps="", old_traits="token-of=2", timeout=12,
        fools_poll=True, reason="leads to another release", subset=True,
        why="old code that gets the new token from elsewhere: the link was never switched"),
    bad("gunicorn-link-forgotten-hup", "gunicorn", "release prepare hup", "UNPROVEN", "old", steps="", old_traits="token-of=2",
        fools_poll=True, reason="leads to another release",
        why="the same with a reload: the workers stand where their main process stood before"),

    # Without `prepare`
    good("gunicorn-unprepared", "gunicorn", "release token switch hup", steps="",
         why="the workers are younger than the token in their release"),
    bad("gunicorn-unprepared-lost", "gunicorn", "release token switch", "STALE", "old", steps="",
        why="it was not reloaded"),
    bad("gunicorn-unprepared-dynamic-lost", "gunicorn", "release wait=1 token switch", "UNPROVEN", "old", steps="", old_traits="dynamic",
        fools_poll=True, reason="verify-token prepare",
        remedy=Remedy("verify-token prepare", steps="release prepare switch hup", old_traits=""),
        why="old workers that read the file for each request: without a baseline their age must show it"),
]
