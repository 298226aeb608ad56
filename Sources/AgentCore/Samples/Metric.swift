// What a metric is: its name, whose it is, and how its values are to be read.

public import RuleLanguage

/// A metric that the agent measures.
public struct Metric: Equatable, Sendable {
    /// Whose metric it is.
    public enum Subject: Sendable {
        case host, service
    }

    public enum Name: Equatable, Sendable {
        /// The family alone: `cpu`.
        case none
        case exactly(String)
        /// Any path; the text is what to call it: `disk:MOUNT`.
        case anyPath(String)
        /// Any word; the text is what to call it: `network_in:INTERFACE`.
        case anyWord(String)
    }

    public enum Kind: Sendable {
        /// A value at an instant, or over the last cycle.
        case gauge
        /// A sum that only grows; what changes is told by `/sec`.
        case counter
    }

    public enum Unit: String, Sendable {
        case bytes, percent, count, seconds
    }

    public var family: String
    public var name: Name
    public var subject: Subject
    public var kind: Kind
    public var unit: Unit
    /// In one line.
    public var meaning: String
    /// The metric that it is a part of: a threshold in percent is percent of that one. `nil` where there is no limit.
    public var limit: MetricName?
    /// Whether `each worker` can be judged by it.
    public var isOfWorkers: Bool

    init(
        _ subject: Subject, _ family: String, _ name: Name, _ unit: Unit, _ meaning: String, kind: Kind = .gauge, limit: MetricName? = nil,
        isOfWorkers: Bool = false
    ) {
        self.subject = subject
        self.family = family
        self.name = name
        self.unit = unit
        self.meaning = meaning
        self.limit = limit
        self.isOfWorkers = isOfWorkers
        self.kind = kind
    }

    /// As a rule writes it.
    public var text: String {
        switch name {
        case .none: family
        case .exactly(let name): "\(family):\(name)"
        case .anyPath(let what), .anyWord(let what): "\(family)(\(what))"
        }
    }

    func isNamed(_ asked: MetricName) -> Bool {
        guard asked.family == family else { return false }
        switch name {
        case .none: return asked.name == nil
        case .exactly(let name): return asked.name == name
        case .anyPath: return asked.name?.hasPrefix("/") ?? false
        case .anyWord: return asked.name.map { !$0.isEmpty } ?? false
        }
    }

    /// The metric of this name, if there is one.
    public static func named(_ name: MetricName, of subject: Subject) -> Metric? { metrics.first { $0.subject == subject && $0.isNamed(name) } }
}
