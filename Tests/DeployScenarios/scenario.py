"""Good and bad deploys, and what a right verifier says about each.

A scenario is: a server of Tests/Beds/deploys with its options, release 1 that serves, what a deploy tool then does step by step, and

    expect   the verdict; several only where `why` says what makes each of them right
    reason   a word that one of the reasons must hold
    remedy   for a deploy that is good and cannot be proven as it is: what the reasons must name, and what it changes; with that changed, the whole
             scenario is run again, and must be VERIFIED
    truth    who answers fresh requests in the end, whatever anybody says: `new`, `old`, `mixed` (both) or `down` (some fail or hang); the bed
             looks, and a scenario that turns out otherwise is a fault of this table. Several where it depends on the instant of the look.

The steps:

    release          a new release with `traits` (see the applications in Tests/Beds/deploys_bed/app)
    rewrite          the same, over the release that runs
    prepare          verify-token prepare: the token is written, the baseline taken
    token            instead of prepare: the token is written, and nothing else
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
    poll             someone asks the URL for the token
    stranger         a server that is not the service's, at its port number: it writes down who sends it a password
    everything else  an action of the server
"""
from dataclasses import dataclass, field, replace


class Remedy:
    """What makes a deploy provable.

    `words`: one of them must be in the reasons, in small letters. `changes`: fields of the scenario, as they are with the remedy applied.
    """

    def __init__(self, *words, **changes):
        self.words, self.changes = words, changes


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
    front: str = ""  # what stands in front of the server, with its options
    backends: int = 1  # so many servers behind it
    forgotten: bool = False  # the action never reaches the last of them
    wrong_password: bool = False  # `check` is given a wrong one
    agent: bool = True  # False: only the URL is asked
    rule: str = ""  # more of the service's rule, as `deploy_path /about/deploy`, instead of --token-path; PASSWORD_FILE and CURRENT are the bed's
    pidfile: str = ""  # what is in the file of the rule instead of the service's own pid
    users: str = ""  # how users ask, for the prober: its options
    asks_url: bool = True  # False: only the agent is asked
    path: str = "/about/deploy"  # of the URL that is asked
    shared: bool = False  # all servers are deployed from the folders of the first
    remedy: "Remedy | None" = None
    fools_poll: bool = False  # a plain poll says yes, which the bed has to see
    bad_boot: bool = False  # the new code cannot run, which is to be known soon
    subset: bool = False  # belongs to `make test`


    def with_remedy(self):
        """The same deploy after what the reasons say was done."""
        return replace(self, **{"expect": "VERIFIED", "truth": "new", "reason": "", "remedy": None, "timeout": 20, **self.remedy.changes})


DEPLOY = "release prepare switch "
IN_PLACE = "prepare rewrite "


def good(name, server, action, steps=DEPLOY, **more):
    return Scenario(name, server, steps + action, "VERIFIED", "new", **more)


def bad(name, server, action, expect, truth, steps=DEPLOY, **more):
    more.setdefault("timeout", 8 if more.get("bad_boot") else 6)
    return Scenario(name, server, steps + action, expect, truth, **more)

