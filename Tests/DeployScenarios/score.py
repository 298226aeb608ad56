"""Who was right, and how fast: verify-token and the plain poll, side by side."""
import statistics

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


def line(scenario, result):
    if "fault" in result:
        return f"{scenario.name:34} FAULT {' '.join(result['fault'].split())}"
    poll = result["poll"]
    text = f"{scenario.name:34} {result['truth']:5}"
    if "check" in result:
        said = result["check"]
        text += f"  {said['verdict']:20} {said['since_action']:5.1f} s {of_check(scenario, result):12}"
    text += f" | poll {'ok' if poll['ok'] else 'no':2} {poll['since_action']:5.1f} s {of_poll(scenario, result):11}"
    text += f" | stall {result['stall']:5.2f} s, {result['failed']:3} of {result['asked']} lost"
    if result["truth"] not in scenario.truth.split():
        text += f" | THE BED: the table says {scenario.truth}"
    return text


def report(scenarios, results, with_check):
    """Prints everything; 0 when all is well."""
    print()
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
        print(f"from the last worker's turn to the exit, without settle: median {statistics.median(latencies) * 1000:.0f} ms, "
              f"{latencies[0] * 1000:.0f} to {latencies[-1] * 1000:.0f} ms, {len(latencies)} deploys")
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
