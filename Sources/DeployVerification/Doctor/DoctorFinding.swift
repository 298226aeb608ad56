// What doctor has found.

public import Platform

/// One thing about a service that spoils its deploys, or the proof of them.
public struct DoctorFinding: Equatable, Sendable {
    public enum Severity: String, CaseIterable, Comparable, Sendable {
        /// A restart would keep old code, take the service down, or could never be proven.
        case fault
        /// It may go wrong, or something is missing for a proof.
        case caution
        /// It was seen, and only the program that reads it can say what it comes to.
        case unknown

        public static func < (a: Self, b: Self) -> Bool { (allCases.firstIndex(of: a) ?? 0) < (allCases.firstIndex(of: b) ?? 0) }
    }

    /// Stays the same from version to version: scripts may rely on it.
    public enum Code: String, CaseIterable, Sendable {
        case binaryUpgrade = "binary-upgrade"
        case chainReload = "chain-reload"
        case daemonOff = "daemon-off"
        case down
        case dynamicToken = "dynamic-token"
        case forkWorker = "fork-worker"
        case mainProcessLost = "main-process-lost"
        case noDirectory = "no-directory"
        case noEndpoint = "no-endpoint"
        case noListener = "no-listener"
        case noPermission = "no-permission"
        case noReload = "no-reload"
        case noTokenFile = "no-token-file"
        case notRead = "not-read"
        case notUnderstood = "not-understood"
        case phasedPreload = "phased-preload"
        case preload
        case releaseGone = "release-gone"
        case releaseNamed = "release-named"
        case reloadDoesNothing = "reload-does-nothing"
        case reloadEnds = "reload-ends"
        case unseen
        case uwsgiIgnoresReload = "uwsgi-ignores-reload"
    }

    public var severity: Severity
    public var code: Code
    /// In a sentence.
    public var problem: String
    /// `file:line`, or which process.
    public var places: [String]
    public var why: String
    /// The line that mends it, and where it belongs.
    public var mend: String?

    public init(_ severity: Severity, _ code: Code, _ problem: String, at places: [String] = [], why: String, mend: String? = nil) {
        self.severity = severity
        self.code = code
        self.problem = problem
        self.places = places
        self.why = why
        self.mend = mend
    }

    public var json: JSON {
        [
            "severity": .string(severity.rawValue), "code": .string(code.rawValue), "problem": .string(problem),
            "where": .array(places.map(JSON.string)), "why": .string(why), "mend": JSON(mend),
        ]
    }
}
