// What an earlier life of the agent knew of units.

import Platform

/// By the unit's key, until the unit is seen again.
struct RememberedUnits {
    struct Memory: Equatable {
        /// As `RuleEvaluator` writes it.
        var rules: JSON
        var restarts: Int
        /// It was said to be down, and what was said.
        var isDown: Bool
        var lastDown: String
        /// That was told to nobody.
        var isUntold: Bool
    }

    private var memories: [String: Memory] = [:]

    init() {}

    init(_ json: JSON) {
        for member in (json.members ?? []).prefix(AgentLoop.mostUnits) {
            let restarts = member.value["restarts"]?.integer ?? 0
            memories[member.name] = Memory(
                rules: member.value["rules"] ?? .array([]), restarts: Int(min(max(restarts, 0), 1_000_000_000)),
                isDown: member.value["down"] != nil, lastDown: member.value["down"]?.string ?? "",
                isUntold: member.value["untold"]?.bool ?? false)
        }
    }

    mutating func take(_ key: String) -> Memory? { memories.removeValue(forKey: key) }
}

extension WatchedUnit {
    /// `nil` when there is nothing to remember.
    func memory(boot: String) -> JSON? {
        let rules = RuleEvaluator.states(of: rules, boot: boot)
        guard rules.array?.isEmpty == false || restarts > 0 || tracker.isDown else { return nil }
        var members = [JSON.Member("rules", rules), .init("restarts", .integer(Int64(restarts)))]
        if tracker.isDown {
            members.append(.init("down", .string(lastDown)))
            if untold.contains(.down) { members.append(.init("untold", true)) }
        }
        return .object(members)
    }
}
