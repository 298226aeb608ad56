"""Who was right, and how fast: verify-token and the plain poll, side by side."""
import math, statistics

from story import EXIT_CODES


def of_check(scenario, result):
    """What verify-token's verdict is worth."""
    said = result["check"]
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
        # Who looks for lies and finds none where one was put proves nothing.
        if scenario.fools_poll and worth == "right":
            faults.append(f"{scenario.name}: the bed did not see that the plain poll was wrong")
        counts["poll"][worth] = counts["poll"].get(worth, 0) + 1
        if with_check:
            worth = of_check(scenario, result)
            counts["check"][worth] = counts["check"].get(worth, 0) + 1
            if worth != "right":
                said = result["check"]
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
