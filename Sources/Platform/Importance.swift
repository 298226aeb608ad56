// How bad something is.

/// How much a failing thing matters, least first.
public enum Importance: String, CaseIterable, Comparable, Sendable {
    case warning, error, critical

    public static func < (a: Importance, b: Importance) -> Bool { a.rank < b.rank }
    private var rank: Int {
        switch self {
        case .warning: 0
        case .error: 1
        case .critical: 2
        }
    }
}
