// `verify-token probe`: what requests at a steady rate meet with, without a deploy.

import AgentAPI
import ArgumentParser
import DeployVerification
import Glibc
import Platform
import Synchronization
import Transfer

struct Probe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Sends requests at a steady rate, and says what failed and how long nothing was answered.",
        discussion: """
            Each request is a connection of its own and begins on schedule, whatever the earlier ones take: a stall is seen for what it is. \
            Any answer below 500 counts as answered; one that takes longer than a second is late.

            Exit codes:
              0   within the limits
              2   wrong usage
              11  too many requests failed, or nothing was answered for too long
              130 interrupted; what was counted so far is printed
            """)

    @OptionGroup(title: "URLs") var urls: URLOptions
    @OptionGroup(title: "How the application is asked") var login: LoginOptions

    @Option(name: .customLong("for"), help: ArgumentHelp("How long.", valueName: "time"))
    var length = Seconds(.seconds(60))

    @Option(help: ArgumentHelp("How many requests a second, 1 to 50.", valueName: "rate"))
    var rate = Rate(50)

    @OptionGroup(title: "Limits") var limits: LimitOptions

    @Flag(help: "Print the result as one JSON object.")
    var json = false

    @Flag(help: "Print nothing but the result.")
    var quiet = false

    func validate() throws {
        guard !urls.url.isEmpty else { throw ValidationError("--url is missing: what is to be asked?") }
        guard (.milliseconds(100)...DeployLimits.duration).contains(length.duration) else {
            throw ValidationError("--for must be from 100ms to 24h.")
        }
    }

    func run() async throws {
        let time = SystemTime()
        let requests = try urls.requests(urls.url, login: try login.credentials(), quiet: quiet)
        let transfers = try Transfers(maximumAtOnce: SteadyProbe.atOnce)
        let all = urls.resolveAll ? await URLOptions.spread(requests) : requests
        let probe = SteadyProbe(all, rate: rate, time: time)
        let begin = time.now().uptime
        let probing = Task { await probe.run(for: length.duration, with: transfers) }
        Interruption.onSignal { number in
            tell(probe.sum(), isInterrupted: true)
            Glibc.exit(128 + number)
        }
        let showing = Task { await show(probe, since: begin, time) }
        await probing.value
        showing.cancel()
        await showing.value
        let sum = probe.sum()
        tell(sum, isInterrupted: false)
        if limit.breach(by: sum) != nil { throw ExitCode(Verdict.limitsExceeded.exitCode) }
    }

    private var limit: AvailabilityLimits { limits.limits(byDefault: true) ?? AvailabilityLimits() }

    private func tell(_ sum: Availability, isInterrupted: Bool) {
        let breach = limit.breach(by: sum)
        if json {
            // Half a result is none for a program.
            guard !isInterrupted else { return Output.error("interrupted: \(sum.words)") }
            guard case .object(let members) = sum.json else { return }
            let head: [JSON.Member] = [.init("schema", 1), .init("within_limits", .bool(breach == nil)), .init("reason", JSON(breach))]
            Output.line(JSON.object(head + members).text)
        } else {
            Output.line((isInterrupted ? "interrupted: " : "") + sum.words)
            Output.line(breach.map { "\(Verdict.limitsExceeded.rawValue): \($0)" } ?? "within the limits")
        }
    }

    /// On a terminal a line that is redrawn; else nothing, for there are no changes to tell of.
    private func show(_ probe: SteadyProbe, since begin: Duration, _ time: SystemTime) async {
        var board = Board(isShown: !quiet && isatty(2) == 1)
        while !Task.isCancelled {
            let elapsed = time.now().uptime - begin
            let row = Board.Row(name: "probe", text: probe.sum().words, isGood: true)
            board.show([row], left: max(.zero, length.duration - elapsed), elapsed: elapsed)
            try? await time.sleep(.milliseconds(250))
        }
        board.clear()
    }
}
