// How a configuration becomes probes: one line per kind in a list.

/// What a check's configuration says, without its place: text, numbers, lists, nested settings.
public enum Setting: Equatable, Sendable {
    case text(String)
    case list([Setting])
    case map([String: Setting])
}

/// A setting that is wrong: which key, and what would help.
public struct SettingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Below the check: `url`, `status`; empty for the check's settings as a whole.
    public var key: String
    public var problem: String

    public init(key: String, problem: String) {
        self.key = key
        self.problem = problem
    }

    public var description: String { key.isEmpty ? problem : "\(key) \(problem)" }
}

/// One kind of check: its word, and how its settings become a probe.
public struct CheckKind: Sendable {
    public var word: String
    /// Reads all settings of one check and reports every fault, not the first.
    public var makeProbe: @Sendable ([String: Setting]) -> Result<any Probe, SettingErrors>

    public init(word: String, makeProbe: @escaping @Sendable ([String: Setting]) -> Result<any Probe, SettingErrors>) {
        self.word = word
        self.makeProbe = makeProbe
    }
}

public struct SettingErrors: Error, Equatable, Sendable {
    public var all: [SettingError]
    public init(_ all: [SettingError]) { self.all = all }
}
