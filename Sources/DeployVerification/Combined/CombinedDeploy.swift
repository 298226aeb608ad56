// A deploy as a whole: its hosts, its URLs, and what requests met with.

public import AgentAPI
public import Platform

/// What is known of a deploy over all its hosts and URLs. The worst one's verdict counts.
public struct CombinedDeploy: Equatable, Sendable {
    /// The latest of each host.
    public var hosts: [HostDeploy]
    public var urls: [DeployRecord.URL]
    /// As seen from where the check runs.
    public var availability: Availability?
    public var limits: AvailabilityLimits?

    public init(
        hosts: [HostDeploy] = [], urls: [DeployRecord.URL] = [], availability: Availability? = nil, limits: AvailabilityLimits? = nil
    ) {
        self.hosts = hosts
        self.urls = urls
        self.availability = availability
        self.limits = limits
    }

    /// Of everything that was judged; where nothing was, nothing is proven.
    public var verdict: Verdict {
        guard let worst = (hosts.map(\.state) + urls.map(\.state)).min() else { return .unproven }
        return breach == nil ? worst : min(worst, .limitsExceeded)
    }

    private var breach: String? {
        guard let limits, let availability else { return nil }
        return limits.breach(by: availability)
    }

    public var isFinal: Bool { hosts.allSatisfy(\.isFinal) }

    /// Keeps the latest of a host.
    public mutating func update(_ host: HostDeploy) {
        if let index = hosts.firstIndex(where: { $0.host == host.host }) { hosts[index] = host } else { hosts.append(host) }
    }

    // MARK: In words

    /// What each kind of evidence was, and which one was not there, for a person.
    public var evidence: [String] {
        var evidence: [String] = []
        if hosts.isEmpty {
            evidence.append("no agent was asked: that every worker of every host is new is not proven, only what the URLs answered")
        }
        if urls.isEmpty { evidence.append("no URL was asked: how requests come to the service from outside was not looked at") }
        for host in hosts where !host.hasBaseline { evidence.append("\(host.host) has no baseline of this deploy") }
        for host in hosts where host.evidence == "process" { evidence.append("\(host.host) was judged by its processes, not by their answers") }
        return evidence
    }

    /// One sentence.
    public func summary(took: Duration? = nil) -> String {
        let time = took.map { " after \(words($0))" } ?? ""
        let verdict = verdict
        switch verdict {
        case .verified:
            let workers = hosts.reduce(0) { $0 + $1.count(.new) }
            var parts: [String] = []
            if !hosts.isEmpty {
                parts.append("\(number(workers, "worker")) on \(number(hosts.count, "host")) \(workers == 1 ? "runs" : "run") the new release")
            }
            if !urls.isEmpty { parts.append("\(number(urls.count, "URL")) \(urls.count == 1 ? "answers" : "answer") with its token\(strength)") }
            return parts.joined(separator: ", and ") + time + suffering
        case .limitsExceeded:
            let why = breach ?? hosts.first { $0.state == .limitsExceeded }?.reasons.first ?? verdict.meaning
            return "the new release runs\(time), but \(why)"
        default:
            let bad = hosts.filter { $0.state == verdict }.map(\.host) + urls.filter { $0.state == verdict }.map(\.url)
            let places = bad.count > 3 ? "\(bad.prefix(3).joined(separator: ", ")) and \(bad.count - 3) more" : bad.joined(separator: ", ")
            let why = hosts.first { $0.state == verdict }?.reasons.first ?? urls.first { $0.state == verdict }?.account ?? verdict.meaning
            return (places.isEmpty ? verdict.meaning : "\(places): \(verdict.meaning)\(why == verdict.meaning ? "" : " (\(why))")") + time
        }
    }

    /// ` (37 answers in a row over fresh connections: ...)`, of the URL that proves least.
    private var strength: String {
        guard let row = urls.compactMap(\.consecutive).min(), let words = Strength.words(of: row) else { return "" }
        return " (\(words))"
    }

    /// `; 2 of 812 requests failed, the longest stall was 35 ms`
    private var suffering: String {
        guard let availability = availability ?? hosts.compactMap(\.availability).max(by: { $0.longestStall < $1.longestStall }),
            availability.requests > 0
        else { return "" }
        let failed = availability.failed == 0 ? "no request failed" : "\(availability.failed) of \(availability.requests) requests failed"
        return "; \(failed), the longest stall was \(availability.longestStall.microseconds / 1000) ms"
    }

    /// What history keeps of it.
    public func record(
        id: String, service: String, token: String, began: Timestamp, ended: Timestamp, person: String? = nil, revision: String? = nil
    ) -> DeployRecord {
        // A clock may have been set in between.
        let ended = max(began, ended)
        return DeployRecord(
            id: id, service: service, verdict: verdict, began: began, ended: ended, tokenPrefix: String(token.prefix(8)), person: person,
            revision: revision, summary: summary(took: ended - began), hosts: Array(hosts.prefix(DeployLimits.hosts)),
            urls: Array(urls.prefix(DeployLimits.texts)), availability: availability)
    }
}

private func number(_ count: Int, _ what: String) -> String { "\(count) \(what)\(count == 1 ? "" : "s")" }
