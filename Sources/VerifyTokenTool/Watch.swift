// Looks at the URLs, tells the verifier, and shows what it sees.

import AgentAPI
import DeployVerification
import Glibc
import Platform
import Transfer

/// One check: the verifier's state, shared by the looks at several URLs, and what is shown of it.
actor Watch {
    private let urls: [String]
    private let token: DeployToken
    private let time: any TimeSource
    private let start: Duration
    private var verifier: Verifier
    private var progress: Progress

    init(urls: [String], token: DeployToken, patience: Verifier.Patience, showsProgress: Bool, time: any TimeSource) {
        self.urls = urls
        self.token = token
        self.time = time
        start = time.now().uptime
        verifier = Verifier(targets: urls, patience: patience, start: start)
        progress = Progress(isShown: showsProgress, count: urls.count)
    }

    /// Looks at all URLs at once until there is a verdict.
    func look(at requests: [HTTPRequest], with transfers: Transfers) async -> Verdict {
        await withTaskGroup { group in
            for (index, request) in requests.enumerated() {
                group.addTask { await self.look(at: request, index, with: transfers) }
            }
            let timeout = verifier.patience.timeout
            group.addTask { [time] in try? await time.sleep(timeout) }
            await group.next()
            group.cancelAll()
        }
        return verifier.verdict(at: time.now().uptime) ?? verifier.verdictByNow
    }

    /// Returns when there is a verdict, or when it is cancelled.
    private func look(at request: HTTPRequest, _ index: Int, with transfers: Transfers) async {
        while !Task.isCancelled {
            let evidence = await evidence(request, transfers)
            // A look that the end of the time cut short saw nothing.
            guard !Task.isCancelled else { return }
            let now = time.now().uptime
            verifier.observe(evidence, of: index, at: now)
            progress.show(verifier, of: index, url: urls[index], elapsed: now - start)
            if verifier.verdict(at: now) != nil { return }
            try? await time.sleep(verifier.pause(of: index))
        }
    }

    private func evidence(_ request: HTTPRequest, _ transfers: Transfers) async -> Evidence {
        do throws(TransferError) {
            let answer = try await transfers.http(request)
            return Evidence(status: answer.status, body: answer.body, expecting: token)
        } catch {
            switch error.kind {
            case .connectionRefused: return .refused
            case .connectionLost: return .lost
            case .timedOut: return .noAnswer
            case .couldNotResolve, .couldNotConnect: return .noConnection(reason: error.detail)
            case .tls: return .tls(reason: error.detail)
            case .untrusted: return .untrusted(reason: error.detail)
            case .tooLarge, .tooManyRedirects, .protocolError, .refused, .badRequest, .cancelled: return .other(reason: error.detail)
            }
        }
    }

    // MARK: What people and programs get

    /// Says how far it came, and nothing that a program could take for a result.
    func interrupted() {
        progress.clear()
        let now = time.now().uptime
        for (index, url) in urls.enumerated() { Output.error("interrupted: \(url): \(verifier.account(of: index, at: now))") }
    }

    func print(_ verdict: Verdict, asJSON: Bool, quiet: Bool) {
        progress.clear()
        let now = time.now().uptime
        if asJSON { Output.line(result(verdict, at: now).text) }
        guard !asJSON || !quiet else { return }
        for line in summary(verdict, at: now) {
            if asJSON { Output.error(line) } else { Output.line(line) }
        }
    }

    private func summary(_ verdict: Verdict, at now: Duration) -> [String] {
        let seen = urls.enumerated().map { index, url in "  \(url): \(verifier.account(of: index, at: now))" }
        return seen + ["\(verdict.rawValue) after \(seconds(now - start)) s, token \(token): \(verdict.meaning)"]
    }

    private func result(_ verdict: Verdict, at now: Duration) -> JSON {
        let targets = urls.enumerated().map { index, url -> JSON in
            let answers = verifier.sightings(of: index).map { sighting -> JSON in
                ["what": .string(sighting.words), "count": .integer(Int64(sighting.count)), "last_seen_s_ago": rounded(now - sighting.last)]
            }
            return ["url": .string(url), "consecutive": .integer(Int64(verifier.consecutive(of: index))), "answers": .array(answers)]
        }
        return [
            "verdict": .string(verdict.rawValue), "exit_code": .integer(Int64(verdict.exitCode)), "meaning": .string(verdict.meaning),
            "token_prefix": .string(token.prefix), "elapsed_s": rounded(now - start), "urls": .array(targets),
        ]
    }

    private func rounded(_ duration: Duration) -> JSON { .number((duration.inSeconds * 1000).rounded() / 1000) }
}

/// What is shown while it goes on, on standard error: on a terminal one line that is rewritten, else a line for each change, one a
/// second at most.
private struct Progress {
    private let isShown: Bool
    private let isTerminal = isatty(2) == 1
    private var shown: [String]
    private var lastShown: [Duration?]

    init(isShown: Bool, count: Int) {
        self.isShown = isShown
        shown = Array(repeating: "", count: count)
        lastShown = Array(repeating: nil, count: count)
    }

    mutating func show(_ verifier: Verifier, of index: Int, url: String, elapsed: Duration) {
        guard isShown else { return }
        let latest = verifier.latest(of: index)
        let right = verifier.consecutive(of: index)
        let text = "\(url): \(latest)"
        if isTerminal {
            let count = right > 0 ? ", \(right) of \(verifier.patience.consecutive) in a row" : ""
            let left = "\(seconds(max(.zero, verifier.patience.timeout - elapsed))) s left"
            Output.write("\r\u{1b}[K" + String("\(left)  \(text)\(count)".prefix(width())), to: 2)
            return
        }
        let waited = lastShown[index].map { elapsed - $0 >= .seconds(1) } ?? true
        guard text != shown[index], waited else { return }
        shown[index] = text
        lastShown[index] = elapsed
        Output.error("\(seconds(elapsed)) s  \(text)")
    }

    /// Takes the rewritten line away.
    func clear() {
        if isShown, isTerminal { Output.write("\r\u{1b}[K", to: 2) }
    }

    /// A line that wraps could not be rewritten.
    private func width() -> Int {
        var size = winsize()
        return ioctl(2, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1 ? Int(size.ws_col) - 1 : 79
    }
}

/// With one digit: `12.3`.
private func seconds(_ duration: Duration) -> String {
    let tenths = duration.microseconds / 100_000
    return "\(tenths / 10).\(tenths % 10)"
}
