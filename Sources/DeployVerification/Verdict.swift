// What the evidence proves about a deploy.

/// The verdicts, the worst first: of several servers the worst one's counts.
public enum Verdict: String, CaseIterable, Comparable, Sendable {
    /// Nobody accepts connections.
    case down = "DOWN"
    /// The old release still answers, and nothing else.
    case stale = "STALE"
    /// New and other answers beside each other.
    case mixed = "MIXED"
    /// It cannot be asked: no way there, access denied, certificate not trusted.
    case unreachable = "UNREACHABLE"
    /// It answers, but nothing that proves which release it runs.
    case unproven = "UNPROVEN"
    /// Only the new release answers by now, but not yet often enough.
    case inProgress = "IN_PROGRESS"
    case verified = "VERIFIED"

    /// What a script sees. 2 is wrong usage, 130 an interruption.
    public var exitCode: Int32 {
        switch self {
        case .verified: 0
        case .stale: 1
        case .mixed: 3
        case .down: 4
        case .unproven: 8
        case .inProgress: 9
        case .unreachable: 10
        }
    }

    /// One sentence for a person.
    public var meaning: String {
        switch self {
        case .down: "nobody accepts connections"
        case .stale: "the old release still answers"
        case .mixed: "the new release answers, and so does something else"
        case .unreachable: "it cannot be asked"
        case .unproven: "nothing proves which release answers"
        case .inProgress: "only the new release answers by now, but not yet often enough"
        case .verified: "the new release answers"
        }
    }

    public static func < (a: Verdict, b: Verdict) -> Bool { a.rank < b.rank }
    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
