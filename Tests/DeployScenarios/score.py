"""Who was right, and how fast: verify-token and the plain poll, side by side."""
import math, re, statistics

from story import EXIT_CODES


# What tells a reader what to do: an option, a setting, something to type, or a word that begins an advice.
ADVICE = re.compile(r"--[a-z]|deploy_[a-z]|`[^`]+`|(?:[;:,.] |^|\b(?:or|and|then) )(?:add|allow|answer|ask|change|check|end|give|look|make|name|read|"
                    r"restart|run|say|send|set|start|stop|use|wait|without|write)\b")


def of_check(scenario, result):
    """What verify-token's verdict is worth, and its way out where it could prove nothing."""
    worth = of_verdict(scenario, result)
    if worth == "right" and "remedied" in result:
        with_remedy = of_verdict(scenario.with_remedy(), result["remedied"])
        return "right" if with_remedy == "right" else f"REMEDY {with_remedy}"
    return worth


def of_verdict(scenario, result):
    said = result["check"]
    if result["given"]:
        return f"PASSWORD GIVEN {result['given']} times"
    expected = scenario.expect.split()
    if result["truth"] == "unseen":
        return "UNJUDGED"
    if said["code"] == 0 and (said["wrong_after"] or result["truth"] != "new" or "VERIFIED" not in expected):
        return "FALSE OK" if result["truth"] != "new" or "VERIFIED" not in expected else "TOO EARLY"
    if said["verdict"] not in EXIT_CODES:
        return f"NO VERDICT (exit code {said['code']})"
    if said["code"] != EXIT_CODES[said["verdict"]]:
        return f"EXIT CODE {said['code']}"
    if said["verdict"] not in expected:
        return "FALSE ALARM" if "VERIFIED" in expected else "WRONG NAME"
    if scenario.reason and not any(scenario.reason in str(reason).lower() for reason in said["reasons"]):
        return "WRONG REASON"
    if scenario.remedy and not any(word in str(reason).lower() for word in scenario.remedy.words for reason in said["reasons"]):
        return "WRONG REMEDY"
    if said["verdict"] == "UNPROVEN" and not any(ADVICE.search(str(reason)) for reason in said["reasons"]):
        return "NO REMEDY"
    return "right"


def of_poll(scenario, result):
    """What the poll's yes or no is worth: it is measured by the truth alone, not by names."""
    said = result["poll"]
    if result["truth"] == "unseen":
        return "UNJUDGED"
    if said["ok"]:
        return "FALSE OK" if result["truth"] != "new" else "TOO EARLY" if said["wrong_after"] else "right"
    return "FALSE ALARM" if scenario.expect.split()[0] == "VERIFIED" else "right"


COLUMNS = (f"{'scenario':34} {'expected':24} {'verify-token says':38} {'after':>7} {'latency':>8}  {'a plain poll says':26} "
           f"{'stall':>7} {'lost':>11}")


def line(scenario, result):
    """A row of the table. `+1`: another verdict would be right as well. `after` is measured from the deploy's signal, the latency from the last
    worker's turn, without the settle time."""
    if "fault" in result:
        return f"{scenario.name:34} FAULT {' '.join(result['fault'].split())}"
    poll = result["poll"]
    expected = scenario.expect.split()
    text = f"{scenario.name:34} {expected[0] + (f' +{len(expected) - 1}' if len(expected) > 1 else ''):24} "
    if "check" in result:
        said = result["check"]
        latency = f"{said['latency'] * 1000:.0f} ms" if "latency" in said else ""
        text += f"{said['verdict'] + ', ' + of_check(scenario, result):38} {said['since_action']:5.1f} s {latency:>8}  "
    else:
        text += f"{'':38} {'':7} {'':8}  "
    told = f"{'yes' if poll['ok'] else 'no'} after {poll['since_action']:.1f} s, {of_poll(scenario, result)}"
    text += f"{told:26} {result['stall']:5.2f} s {result['failed']:5} of {result['asked']}"
    if result["truth"] not in scenario.truth.split():
        text += f"  THE BED: {result['truth']}, and the table says {scenario.truth}"
    return text


def report(scenarios, results, with_check):
    """Prints everything; 0 when all is well."""
    print(f"\n{COLUMNS}")
    faults = []
    counts = {"check": {}, "poll": {}}
    for scenario, result in zip(scenarios, results):
        print(line(scenario, result))
        if "fault" in result:
            faults.append(f"{scenario.name}: {' '.join(result['fault'].split())}")
            continue
        if result["truth"] not in scenario.truth.split():
            faults.append(f"{scenario.name}: the bed's truth is {result['truth']}, the table says {scenario.truth}")
        worth = of_poll(scenario, result)
        remedied = result.get("remedied")
        if remedied and remedied["truth"] != "new":
            faults.append(f"{scenario.name}: with its remedy the bed's truth is {remedied['truth']}, and not new")
        # Who looks for lies and finds none where one was put proves nothing.
        if scenario.fools_poll and worth == "right":
            faults.append(f"{scenario.name}: the bed did not see that the plain poll was wrong")
        counts["poll"][worth] = counts["poll"].get(worth, 0) + 1
        if with_check:
            worth = of_check(scenario, result)
            counts["check"][worth] = counts["check"].get(worth, 0) + 1
            if worth != "right":
                said = (result.get("remedied") if worth.startswith("REMEDY") else result)["check"]
                faults.append(
                    f"{scenario.name}: {worth}: {said['verdict']} ({said['code']}) instead of {scenario.expect}, truth {result['truth']}, "
                    f"{said['wrong_after']} wrong answers after it {said['examples']}; reasons {said['reasons']} {said['errors'].strip()}")
    print()
    for who, name in [("check", "verify-token"), ("poll", "a plain poll")]:
        if counts[who]:
            print(f"{name:13}" + ", ".join(f"{count} {worth}" for worth, count in sorted(counts[who].items(), key=lambda item: -item[1])))
    measured = [result for result in results if "check" in result]
    latencies = sorted(result["check"]["latency"] for result in measured if "latency" in result["check"])
    if latencies:
        late = latencies[math.ceil(0.95 * len(latencies)) - 1]
        print(f"from the last worker's turn to the exit, without settle: median {statistics.median(latencies) * 1000:.0f} ms, "
              f"95 % within {late * 1000:.0f} ms, {latencies[0] * 1000:.0f} to {latencies[-1] * 1000:.0f} ms, {len(latencies)} deploys")
    agents = [result["check"]["agent_latency"] for result in measured if "agent_latency" in result["check"]]
    if agents:
        print(f"of it until the agent's verdict: median {statistics.median(agents) * 1000:.0f} ms")
    boots = [(result["check"]["since_action"], scenario.name) for scenario, result in zip(scenarios, results)
             if scenario.bad_boot and "check" in result and result["check"]["code"] != 0]
    if boots:
        print(f"from the signal to the verdict on code that does not boot: median {sorted(boots)[len(boots) // 2][0]:.1f} s, "
              f"at most {max(boots)[0]:.1f} s ({max(boots)[1]})")
    loads = [result["check"]["agent"] for result in measured if result["check"]["agent"]]
    if loads:
        print(f"the agent's processor time while it checks: median {statistics.median(loads) * 1000:.0f} ms each second")
    for fault in faults:
        print("FAILED", fault)
    print(f"{len(scenarios)} deploys, {len(faults)} faults")
    return 1 if faults else 0
