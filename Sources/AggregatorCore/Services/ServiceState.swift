// A service as decisions see it: its status and everything that fails in it.

public import Platform

public struct ServiceState: Equatable, Sendable {
    public var name: String
    public var status: Status
    /// Since when it has this status.
    public var since: Timestamp
    /// When it left passing; `nil` while it passes.
    public var incidentSince: Timestamp?
    /// Who has been told of the present incident, and so has to hear of its end.
    public var told: [String]
    public var problems: [ProblemKey: ServiceProblem]
    /// A configured service stays when it has no units.
    public var isConfigured: Bool

    public init(
        name: String, status: Status = .passing, since: Timestamp, incidentSince: Timestamp? = nil, told: [String] = [],
        problems: [ProblemKey: ServiceProblem] = [:], isConfigured: Bool = false
    ) {
        self.name = name
        self.status = status
        self.since = since
        self.incidentSince = incidentSince
        self.told = told
        self.problems = problems
        self.isConfigured = isConfigured
    }

    /// Worst first, then oldest.
    public var orderedProblems: [Problem] {
        problems.sorted { a, b in
            if a.value.problem.importance != b.value.problem.importance { return a.value.problem.importance > b.value.problem.importance }
            if a.value.problem.since != b.value.problem.since { return a.value.problem.since < b.value.problem.since }
            return a.key < b.key
        }.map(\.value.problem)
    }
}

/// What tells one problem from another.
public struct ProblemKey: Hashable, Comparable, Sendable {
    /// What about the unit, the host or the check fails.
    public enum Item: Hashable, Sendable {
        case down, silent, check
        /// The last deploy is not known to run.
        case deploy
        /// What the agent measures with, by name: `systemd`.
        case source(String)
        case rule(String)

        /// As it is stored.
        public var text: String {
            switch self {
            case .down: "down"
            case .silent: "silent"
            case .source(let name): "source \(name)"
            case .check: "check"
            case .deploy: "deploy"
            case .rule(let rule): "rule \(rule)"
            }
        }

        public init?(_ text: String) {
            switch text {
            case "down": self = .down
            case "silent": self = .silent
            case "check": self = .check
            case "deploy": self = .deploy
            default:
                if text.hasPrefix("rule ") {
                    self = .rule(String(text.dropFirst(5)))
                } else if text.hasPrefix("source ") {
                    self = .source(String(text.dropFirst(7)))
                } else {
                    return nil
                }
            }
        }
    }

    /// Empty for checks and deploys.
    public var agent: String
    /// The unit, the check, or what was deployed; empty for the host itself.
    public var subject: String
    public var item: Item

    public init(agent: String, subject: String, item: Item) {
        self.agent = agent
        self.subject = subject
        self.item = item
    }

    public static func < (a: ProblemKey, b: ProblemKey) -> Bool {
        (a.agent, a.subject, a.item.text) < (b.agent, b.subject, b.item.text)
    }
}

/// A problem, and what its end needs.
public struct ServiceProblem: Equatable, Sendable {
    public var problem: Problem
    /// Where the rule that found it wants alerts to go.
    public var routes: [String?]
    /// Whether people were told that it began, and so have to hear that it ended.
    public var isTold: Bool

    public init(_ problem: Problem, routes: [String?] = [nil], isTold: Bool = false) {
        self.problem = problem
        self.routes = routes
        self.isTold = isTold
    }
}
