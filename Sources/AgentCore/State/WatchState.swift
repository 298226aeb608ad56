// What was remembered, as a value: read from outside, so that nothing in it is believed.

public import Platform

/// All that `watch-state.json` says, as far as it makes sense.
public struct WatchState {
    /// How the host's rules stood, as `RuleEvaluator` writes it.
    var host: JSON
    /// What is wrong with the host and was told to nobody.
    var hostUntold: Set<WatchedUnit.Concern>
    var units: RememberedUnits
    var silences: Silences
    /// As `JobBook` writes it.
    var jobs: JSON
    var timers: TimerBook
    /// Whether it was told that the agent may not do what the configuration needs.
    var lacksMeans: Bool
    var limits: [String: StormLimit] = [:]

    /// - Throws: what is wrong with a text that is none of ours.
    public init(parsing bytes: [UInt8], at now: Moment) throws {
        let json = try JSON(parsing: bytes)
        guard json["version"]?.integer == 1 else { throw WatchStateError(problem: "is of another version") }
        host = json["host"] ?? .null
        hostUntold = concerns(json["host_untold"] ?? .null)
        units = RememberedUnits(json["units"] ?? .null)
        silences = Silences(json["silences"] ?? .null, at: now)
        jobs = json["jobs"] ?? .null
        timers = TimerBook(json["timers"] ?? .null)
        lacksMeans = json["lacks_means"]?.bool ?? false
        for member in (json["limits"]?.members ?? []).prefix(AgentLoop.mostUnits) { limits[member.name] = StormLimit(member.value, at: now) }
    }
}

/// A text that is no state of the watcher.
struct WatchStateError: Error, CustomStringConvertible {
    var problem: String
    var description: String { problem }
}
