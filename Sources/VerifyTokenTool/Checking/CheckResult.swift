// How a check ended, for people, programs and history.

import AgentAPI
import DeployVerification
import Platform

struct CheckResult: Sendable {
    struct URL: Sendable {
        var url: String
        var state: Verdict
        var account: String
        var consecutive: Int
        var answers: [Verifier.Sighting]
        var answeredAgo: [Duration]
    }

    var verdict: Verdict
    var token: DeployToken
    var deploy: String?
    var service: String?
    var person: String?
    var revision: String?
    var began: Timestamp
    var ended: Timestamp
    /// Of the check alone.
    var elapsed: Duration
    var urls: [URL] = []
    var hosts: [HostDeploy] = []
    var availability: Availability?
    /// For a person, the most important first.
    var reasons: [String] = []
    /// Evidence that there is none of.
    var lacks: [String] = []

    /// The verdict and its reason in a sentence.
    var sentence: String {
        let reason = verdict == .verified ? nil : reasons.first
        return "\(verdict.rawValue) after \(seconds(elapsed)) s, token \(token): \(reason ?? verdict.meaning)"
    }

    /// Lines for a terminal, the verdict in the last.
    var lines: [String] {
        var lines = urls.map { "  \($0.url): \($0.account)" }
        for host in hosts {
            lines.append("  \(host.host): \(HostLine.words(host))")
            if let availability = host.availability { lines.append("    probe: \(availability.words)") }
        }
        if let availability { lines.append("  probe: \(availability.words)") }
        if verdict != .verified { lines += reasons.dropFirst().prefix(10).map { "  \($0)" } }
        lines += lacks.map { "  not seen: \($0)" }
        return lines + [sentence]
    }

    var json: JSON {
        let urls = urls.map { url -> JSON in
            let answers = zip(url.answers, url.answeredAgo).map { sighting, ago -> JSON in
                ["what": .string(sighting.words), "count": .integer(Int64(sighting.count)), "last_seen_s_ago": rounded(ago)]
            }
            return [
                "url": .string(url.url), "state": .string(url.state.rawValue), "consecutive": .integer(Int64(url.consecutive)),
                "answers": .array(answers),
            ]
        }
        return [
            "schema": 1, "verdict": .string(verdict.rawValue), "exit_code": .integer(Int64(verdict.exitCode)), "meaning": .string(verdict.meaning),
            "summary": .string(sentence), "deploy_id": JSON(deploy), "service": JSON(service), "token_prefix": .string(token.prefix),
            "person": JSON(person), "revision": JSON(revision), "began": .string(began.text()), "ended": .string(ended.text()),
            "elapsed_s": rounded(elapsed), "urls": .array(urls), "hosts": .array(hosts.map(\.json)), "probe": availability?.json ?? .null,
            "reasons": .array(reasons.map(JSON.string)), "lacks": .array(lacks.map(JSON.string)),
        ]
    }

    /// As the aggregator keeps it; `nil` without an id or a service: it would belong nowhere.
    var record: DeployRecord? {
        guard let deploy, let service else { return nil }
        return DeployRecord(
            id: deploy, service: service, verdict: verdict, began: began, ended: max(began, ended), tokenPrefix: token.prefix, person: person,
            revision: revision, summary: sentence, hosts: hosts,
            urls: urls.map { DeployRecord.URL(url: $0.url, state: $0.state, account: $0.account) }, availability: availability)
    }

    private func rounded(_ duration: Duration) -> JSON { .number((duration.inSeconds * 1000).rounded() / 1000) }
}

/// With one digit: `12.3`.
func seconds(_ duration: Duration) -> String {
    let tenths = max(0, duration.microseconds / 100_000)
    return "\(tenths / 10).\(tenths % 10)"
}
