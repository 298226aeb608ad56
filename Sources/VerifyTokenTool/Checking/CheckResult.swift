// How a check ended, for people, programs and history.

import AgentAPI
import DeployVerification
import Platform

struct CheckResult: Sendable {
    /// What the looks at one URL showed.
    struct Looks: Sendable {
        /// How many of the last answers were right.
        var consecutive: Int
        /// What keeps the URL from being proven, and what to do about it.
        var reason: String
        var answers: [Answer]
    }

    struct Answer: Sendable {
        var what: String
        var count: Int
        var ago: Duration
    }

    var verdict: Verdict
    /// What the verdict rests on.
    var sum: CombinedDeploy
    /// All hosts and URLs, as they were at the end.
    var everything: CombinedDeploy
    var tokenPrefix: String?
    var deploy: String?
    var service: String?
    var person: String?
    var revision: String?
    var began: Timestamp
    var ended: Timestamp
    /// Of the check alone.
    var elapsed: Duration
    /// In the order of the URLs.
    var looks: [Looks] = []

    /// The verdict and its reason in a sentence.
    var sentence: String { "\(verdict.rawValue)\(tokenPrefix.map { " (token \($0)...)" } ?? ""): \(oneLine(sum.summary(took: elapsed)))" }

    /// For a person, the most important first: of the hosts that decided, then of others.
    var reasons: [String] {
        guard verdict != .verified else { return [] }
        var reasons: [String] = []
        func add(_ reason: String) { if !reasons.contains(reason) { reasons.append(reason) } }
        for host in (sum.hosts + everything.hosts).filter({ $0.state != .verified }).sorted(by: { $0.state < $1.state }) {
            for reason in host.reasons.prefix(10) { add("\(oneLine(host.host)): \(oneLine(reason))") }
            if host.reasons.isEmpty { add("\(oneLine(host.host)): \(host.state.meaning)") }
        }
        if let limits = everything.limits, let availability = everything.availability, let breach = limits.breach(by: availability) { add(breach) }
        for (url, looks) in zip(everything.urls, looks) where url.state != .verified { add("\(url.url): \(oneLine(looks.reason))") }
        return Array(reasons.prefix(DeployLimits.texts))
    }

    /// Evidence that there is none of.
    var lacks: [String] {
        let alone = "whether the URLs read the token on every request was not seen: an agent sees it, or `doctor --ask`"
        return everything.evidence.map(oneLine) + (everything.hosts.isEmpty && !everything.urls.isEmpty ? [alone] : [])
            + everything.hosts.flatMap { host in host.lacks.prefix(20).map { "\(oneLine(host.host)): \(oneLine($0))" } }
    }

    /// Lines for a terminal, the verdict in the last.
    var lines: [String] {
        var lines = everything.urls.map { url in
            let strength = url.state == .verified ? url.consecutive.flatMap(Strength.words) : nil
            return "  \(url.url): \(url.account)\(strength.map { "; \($0)" } ?? "")"
        }
        for host in everything.hosts {
            lines.append("  \(oneLine(host.host)): \(oneLine(host.inWords))")
            if let availability = host.availability { lines.append("    probe: \(availability.words)") }
        }
        if let availability = everything.availability { lines.append("  probe: \(availability.words)") }
        lines += reasons.prefix(12).map { "  because \($0)" }
        lines += lacks.map { "  note: \($0)" }
        return lines + [sentence]
    }

    var json: JSON {
        let urls = zip(everything.urls, looks).map { url, looks -> JSON in
            let answers = looks.answers.map { answer -> JSON in
                ["what": .string(answer.what), "count": .integer(Int64(answer.count)), "last_seen_s_ago": rounded(answer.ago)]
            }
            let share = Strength.excludedShare(by: looks.consecutive)
            return [
                "url": .string(url.url), "state": .string(url.state.rawValue), "consecutive": .integer(Int64(looks.consecutive)),
                "excluded_share": share.map { .number(($0 * 1000).rounded(.up) / 1000) } ?? .null,
                "strength": JSON(Strength.words(of: looks.consecutive)),
                "answers": .array(answers),
            ]
        }
        return [
            "schema": 1, "verdict": .string(verdict.rawValue), "exit_code": .integer(Int64(verdict.exitCode)), "meaning": .string(verdict.meaning),
            "summary": .string(sentence), "deploy_id": JSON(deploy), "service": JSON(service), "token_prefix": JSON(tokenPrefix),
            "person": JSON(person), "revision": JSON(revision), "began": .string(began.text()), "ended": .string(ended.text()),
            "elapsed_s": rounded(elapsed), "urls": .array(urls), "hosts": .array(everything.hosts.map(\.json)),
            "probe": everything.availability?.json ?? .null, "reasons": .array(reasons.map(JSON.string)), "lacks": .array(lacks.map(JSON.string)),
        ]
    }

    /// As the aggregator keeps it; `nil` without an id, a service or a token: it would belong nowhere.
    var record: DeployRecord? {
        guard let deploy, let service, let tokenPrefix else { return nil }
        var record = everything.record(
            id: deploy, service: service, token: tokenPrefix, began: began, ended: ended, person: person, revision: revision)
        record.verdict = verdict
        record.summary = sentence
        return record
    }

    private func rounded(_ duration: Duration) -> JSON { .number((duration.inSeconds * 1000).rounded() / 1000) }
}

/// With one digit: `12.3`.
func seconds(_ duration: Duration) -> String {
    let tenths = max(0, duration.microseconds / 100_000)
    return "\(tenths / 10).\(tenths % 10)"
}
