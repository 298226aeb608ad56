// What the evidence proves about a deploy.

/// The verdicts, the worst first: of several hosts or URLs the worst one's counts.
public enum Verdict: String, CaseIterable, Comparable, Sendable {
    /// Nobody accepts connections.
    case down = "DOWN"
    /// New processes keep dying soon after their start.
    case crashLoop = "CRASH_LOOP"
    /// The old release still answers, and nothing else.
    case stale = "STALE"
    /// New and other answers beside each other.
    case mixed = "MIXED"
    /// The processes are new, and what they run is not.
    case newProcessOldCode = "NEW_PROCESS_OLD_CODE"
    /// A process that is older than the token answers with it: the endpoint reads the file on every request and can prove nothing.
    case dynamicToken = "DYNAMIC_TOKEN"
    /// It cannot be asked: no way there, access denied, certificate not trusted.
    case unreachable = "UNREACHABLE"
    /// It answers, but nothing that proves which release it runs.
    case unproven = "UNPROVEN"
    /// Only the new release answers by now, but not yet often or long enough.
    case inProgress = "IN_PROGRESS"
    /// The new release answers, and too many requests failed or stalled on the way there.
    case limitsExceeded = "SLO_BREACHED"
    case verified = "VERIFIED"

    /// What a script sees. 2 is wrong usage, 130 an interruption.
    public var exitCode: Int32 {
        switch self {
        case .verified: 0
        case .stale: 1
        case .mixed: 3
        case .down: 4
        case .crashLoop: 5
        case .newProcessOldCode: 6
        case .dynamicToken: 7
        case .unproven: 8
        case .inProgress: 9
        case .unreachable: 10
        case .limitsExceeded: 11
        }
    }

    /// One sentence for a person.
    public var meaning: String {
        switch self {
        case .down: "nobody accepts connections"
        case .crashLoop: "new processes die soon after their start"
        case .stale: "the old release still answers"
        case .mixed: "the new release answers, and so does something else"
        case .newProcessOldCode: "the processes are new, but not the code that they run"
        case .dynamicToken: "processes older than the token answer with it: they read the file on every request, which proves nothing"
        case .unreachable: "it cannot be asked"
        case .unproven: "nothing proves which release answers"
        case .inProgress: "only the new release answers by now, but not yet often or long enough"
        case .limitsExceeded: "the new release answers, but too many requests failed or stalled on the way"
        case .verified: "the new release answers"
        }
    }

    public static func < (a: Verdict, b: Verdict) -> Bool { a.rank < b.rank }
    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
