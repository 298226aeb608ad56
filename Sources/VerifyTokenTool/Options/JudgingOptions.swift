// When a deploy counts as verified.

import AgentAPI
import ArgumentParser
import Platform

struct JudgingOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How long to look at most.", valueName: "time"))
    var timeout = Seconds(.seconds(60))

    @Option(help: ArgumentHelp("Between two looks at one URL.", valueName: "time"))
    var interval = Seconds(.milliseconds(500))

    @Option(
        help: ArgumentHelp(
            "How many right answers in a row prove a URL at least; after other answers, as many as exclude their share at 99.9 %.", valueName: "count"
        ))
    var consecutive = 5

    @Option(
        help: ArgumentHelp(
            "How long everything must have been right, unchanged (default: 1s when agents are asked; nothing but --consecutive for URLs alone).",
            valueName: "time"))
    var settle: Seconds?

    @Option(help: ArgumentHelp("How long to go on looking after that, for workers that die later.", valueName: "time"))
    var watch = Seconds(.zero)

    @Option(help: ArgumentHelp("How many workers a host must have: a number, or same as before the deploy.", valueName: "count"))
    var expectWorkers = ExpectedWorkers(nil)

    @Option(
        help: ArgumentHelp(
            "What old processes that take no new requests any more are: ignore, warn, or wait[:TIME] to wait for their end.", valueName: "how"))
    var drain = Drain(.warn)

    @Option(
        help: ArgumentHelp(
            "What proves a worker new: http, that it answers the token itself; process, for services without a token, that it was executed after "
                + "the preparation and stands in the new release.", valueName: "kind"))
    var evidence: EvidenceWord = .http

    @Flag(help: "For --evidence process: the workers are not forked from preloaded code.")
    var noPreload = false

    @Flag(help: "Wait for the timeout also when it is plain how it ends.")
    var noFastFail = false

    enum EvidenceWord: String, CaseIterable, ExpressibleByArgument {
        case http, process

        var kind: DeployCheck.EvidenceKind { self == .http ? .http : .process }
    }

    func validate() throws {
        guard (1...1000).contains(consecutive) else { throw ValidationError("--consecutive must be from 1 to 1000.") }
        guard (.milliseconds(100)...DeployLimits.duration).contains(timeout.duration) else {
            throw ValidationError("--timeout must be from 100ms to 24h.")
        }
        guard (.milliseconds(20)...(.seconds(3600))).contains(interval.duration) else {
            throw ValidationError("--interval must be from 20ms to 1h.")
        }
        guard watch.duration <= DeployLimits.duration, settle?.duration ?? .zero <= DeployLimits.duration else {
            throw ValidationError("--settle and --watch must be at most 24h.")
        }
        guard settle?.duration ?? .zero < timeout.duration else { throw ValidationError("--settle must be shorter than --timeout.") }
    }
}

/// Requests at a steady rate, from before the restart to the verdict.
struct ProbeOptions: ParsableArguments {
    @Flag(help: "Send requests at a steady rate until the verdict: what fails or has to wait meanwhile is counted.")
    var probe = false

    @Option(help: ArgumentHelp("How many requests a second, 1 to 50.", valueName: "rate"))
    var probeRate = Rate(20)
}

struct LimitOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How many requests of the probe may fail: a number, or a part such as 0.01%.", valueName: "limit"))
    var maxFailed: MostFailed?

    @Option(help: ArgumentHelp("For how long no request of the probe may be answered.", valueName: "time"))
    var maxStall: Seconds?

    /// - Parameter byDefault: whether no failure at all is the limit where nothing is said.
    func limits(byDefault: Bool) -> AvailabilityLimits? {
        guard byDefault || maxFailed != nil || maxStall != nil else { return nil }
        // Who limits the stall alone does not say that requests may fail.
        return AvailabilityLimits(failed: maxFailed?.failed ?? .count(0), stall: maxStall?.duration)
    }
}

/// How the result is told.
struct ResultOptions: ParsableArguments {
    @Flag(help: "Print the result as one JSON object.")
    var json = false

    @Flag(help: "Print nothing but the result.")
    var quiet = false

    @Option(help: ArgumentHelp("Write the result as a JUnit report too.", valueName: "file"))
    var junit: String?

    @Flag(inversion: .prefixedNo, help: "Annotate a run of GitHub Actions (default: when $GITHUB_ACTIONS is true).")
    var github: Bool?

    var annotates: Bool { github ?? (variable("GITHUB_ACTIONS") == "true") }
}
