// What an aggregator may order: a list in the agent's own configuration, and nothing beside it.

import AgentAPI

/// A verb, and the units that it may be said of.
public struct AllowedOrder: Equatable, Sendable {
    /// As `AgentRequest.verb` has it: `restart`, `deploy_start`.
    public var verb: String
    /// A unit's or a job's name, in which `*` stands for any letters and `?` for any one. `*` alone is for the whole host as well.
    public var pattern: String

    public init(verb: String, pattern: String) {
        self.verb = verb
        self.pattern = pattern
    }

    /// Reads `restart puma*`; a verb alone is for everything.
    public init(parsing text: String) throws(TalkerError) {
        func fault(_ problem: String) -> TalkerError { TalkerError(part: "the allowed order `\(text.prefix(100))`", problem: problem) }
        let words = text.split { $0 == " " || $0 == "\t" }
        guard let first = words.first, words.count <= 2 else { throw fault("is not a verb and a unit, such as `restart puma*`") }
        verb = String(first)
        guard AgentRequest.verbs.contains(verb) else {
            throw fault("begins with a verb that there is not: one of \(AgentRequest.verbs.joined(separator: ", "))")
        }
        pattern = words.count == 2 ? String(words[1]) : "*"
        guard pattern.utf8.count <= 200 else { throw fault("has a pattern that is longer than 200 bytes") }
    }
}

extension [AllowedOrder] {
    /// Whether a request is allowed as a whole: each unit that it names has to be.
    func allow(_ request: AgentRequest) -> Bool {
        let patterns = lazy.filter { $0.verb == request.verb }.map(\.pattern)
        guard !request.subjects.isEmpty else { return patterns.contains("*") }
        return request.subjects.allSatisfy { subject in patterns.contains { fits(subject, pattern: $0) } }
    }

    /// Whether an order about a deploy of these services is allowed. A deploy that nobody knows is nobody's: saying so is allowed to who
    /// may ask about any.
    /// - Parameter services: their names, with or without `.service` as the pattern may be.
    func allow(_ verb: String, ofServices services: [String]) -> Bool {
        let patterns = lazy.filter { $0.verb == verb }.map(\.pattern)
        guard !services.isEmpty else { return !patterns.isEmpty }
        return services.allSatisfy { service in
            let names = [service, service.hasSuffix(".service") ? String(service.dropLast(8)) : service + ".service"]
            return patterns.contains { pattern in names.contains { fits($0, pattern: pattern) } }
        }
    }
}

extension AgentRequest {
    /// Whether it comes over the line of orders, and not with the answers to reports: see `DeployOrders`.
    var isForTheLine: Bool {
        switch self {
        case .prepareDeploy, .checkDeploy, .cancelDeploy: true
        default: false
        }
    }

    /// The units or the job that it is about; none for the whole host.
    fileprivate var subjects: [String] {
        switch self {
        case .status, .export, .history, .jobs, .testAlerts, .means: []
        case .show(let unit, _), .explain(let unit, _): unit.map { [$0] } ?? []
        case .startDeploy(let units, _, _, _), .finishDeploy(let units, _), .stopMonitoring(let units, _, _), .resumeMonitoring(let units): units
        case .prepareDeploy(let preparation): [preparation.service]
        case .checkDeploy(let check): check.service.map { [$0] } ?? []
        // By its id alone it may be any service's.
        case .cancelDeploy: []
        case .jobStarted(let name), .jobDone(let name, _): [name]
        case .act(_, let unit): [unit]
        }
    }
}

/// `*` for any letters, `?` for one; in linear time and a little, whatever the pattern.
func fits(_ text: String, pattern: String) -> Bool {
    let (text, pattern) = (Array(text.unicodeScalars), Array(pattern.unicodeScalars))
    var (at, place) = (0, 0)
    // Where to go on when what follows the last star turns out not to match.
    var star: (place: Int, at: Int)?
    while at < text.count {
        if place < pattern.count, pattern[place] == "*" {
            star = (place, at)
            place += 1
        } else if place < pattern.count, pattern[place] == "?" || pattern[place] == text[at] {
            at += 1
            place += 1
        } else if let last = star {
            star = (last.place, last.at + 1)
            (place, at) = (last.place + 1, last.at + 1)
        } else {
            return false
        }
    }
    return pattern[place...].allSatisfy { $0 == "*" }
}
