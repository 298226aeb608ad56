// What an earlier life of the agent knew of units.

import Platform
import RuleLanguage

/// By the unit's key, until the unit is seen again.
struct RememberedUnits {
    struct Memory: Equatable {
        /// As `RuleEvaluator` writes it.
        var rules: JSON
        var restarts: Int
        /// It was said to be down, and what was said.
        var isDown: Bool
        var lastDown: String
        /// It was said to be stopped on request, in the boot with this id.
        var stoppedInBoot: String?
        /// It was made for one run, which has ended well.
        var hasEnded: Bool
        /// The run that was over.
        var run: String?
        /// It was said to be stuck.
        var isStuck: Bool
        /// What was wrong and was told to nobody.
        var untold: Set<WatchedUnit.Concern>

        /// What a stop on request has told is true until the host is started anew.
        func before(in boot: String) -> UnitTracker.Before? {
            isDown ? .down : stoppedInBoot == boot ? .stopped : hasEnded ? .ended : nil
        }
    }

    private var memories: [String: JSON] = [:]

    init() {}

    init(_ json: JSON) {
        for member in (json.members ?? []).prefix(AgentLoop.mostUnits) { memories[member.name] = member.value }
    }

    mutating func take(_ key: String) -> Memory? {
        guard let json = memories.removeValue(forKey: key) else { return nil }
        let restarts = json["restarts"]?.integer ?? 0
        return Memory(
            rules: json["rules"] ?? .array([]), restarts: Int(min(max(restarts, 0), 1_000_000_000)), isDown: json["down"] != nil,
            lastDown: json["down"]?.string ?? "", stoppedInBoot: json["stopped"]?.string, hasEnded: json["ended"]?.bool ?? false,
            run: json["run"]?.string, isStuck: json["stuck"]?.bool ?? false,
            untold: concerns(json["untold"] ?? .null))
    }

    /// Keeps what is of one of these services: units have the service's name, or begin with it and a space.
    mutating func keep(_ services: Set<String>) {
        memories = memories.filter { key, _ in
            services.contains(key) || key.indices.contains { key[$0] == " " && services.contains(String(key[..<$0])) }
        }
    }

    /// What is still waiting for its unit: another start of the agent may come before the unit does.
    func members(limit: Int) -> [JSON.Member] {
        memories.sorted { $0.key < $1.key }.prefix(max(0, limit)).map { .init($0.key, $0.value) }
    }
}

/// What was told to nobody, for a later start of the agent: as far as the agent knows then that it is wrong.
func untoldJSON(_ untold: Set<WatchedUnit.Concern>) -> JSON {
    var members: [JSON] = []
    if untold.contains(.down) { members.append(["kind": "down"]) }
    if untold.contains(.stuck) { members.append(["kind": "stuck"]) }
    let rules = untold.compactMap { if case .rule(let text) = $0 { text } else { nil } }
    for rule in rules.sorted() { members.append(["kind": "rule", "rule": .string(rule)]) }
    return .array(members)
}

func concerns(_ json: JSON) -> Set<WatchedUnit.Concern> {
    Set(
        (json.array ?? []).prefix(10_000).compactMap { concern in
            switch concern["kind"]?.string {
            case "down": .down
            case "stuck": .stuck
            case "rule": concern["rule"]?.string.map(WatchedUnit.Concern.rule)
            default: nil
            }
        })
}

extension WatchedUnit {
    /// Goes on from what an earlier life of the agent knew.
    func recall(_ memory: RememberedUnits.Memory, boot: String) {
        RuleEvaluator.restore(memory.rules, to: &rules, boot: boot)
        earlierRestarts = memory.restarts
        lastDown = memory.lastDown
        stall = Stall(isStuck: memory.isStuck)
        var wrong = Set(rules.filter(\.isFailing).map { Concern.rule($0.rule.text) })
        if memory.isDown { wrong.insert(.down) }
        if memory.isStuck { wrong.insert(.stuck) }
        untold = memory.untold.intersection(wrong)
        // The unit that it depends on may have come back while nobody looked.
        isWaitingForDependency = !untold.isEmpty && !service.dependencies.isEmpty
    }

    /// `nil` when there is nothing to remember.
    func memory(boot: String) -> JSON? {
        let rules = RuleEvaluator.states(of: rules, boot: boot)
        guard rules.array?.isEmpty == false || restarts > 0 || tracker.isDown || tracker.isToldStopped || tracker.hasEndedForGood || stall.isStuck
        else { return nil }
        var members = [JSON.Member("rules", rules), .init("restarts", .integer(Int64(restarts)))]
        if tracker.isDown { members.append(.init("down", .string(lastDown))) }
        if tracker.hasEndedForGood { members.append(.init("ended", true)) }
        if tracker.isDown, let run = tracker.lastRun { members.append(.init("run", .string(run))) }
        if tracker.isToldStopped { members.append(.init("stopped", .string(boot))) }
        if stall.isStuck { members.append(.init("stuck", true)) }
        if !untold.isEmpty { members.append(.init("untold", untoldJSON(untold))) }
        return .object(members)
    }
}
