// Which services the units of a host belong to, as the configuration and the agent's watching change.

public import Platform

/// Keeps a host's memberships, and moves what fails along with them.
public enum Membership {
    /// After a change of the configuration.
    public static func decide(on situation: Situation, plan: ServicePlan, at now: Timestamp) -> Decision {
        var statuses = Statuses(situation, plan: plan, now: now)
        if let host = situation.host { refresh(&statuses, agent: host.agent, host: host.name) }
        return statuses.decision
    }

    /// The services that `decide` may touch for a host with these units.
    public static func scope(agent: String, host: String, units: [String], plan: ServicePlan) -> Scope {
        var services = plan.services(ofUnit: "", onHost: host)
        for unit in units { services.formUnion(plan.services(ofUnit: unit, onHost: host)) }
        return .agent(agent, services: services)
    }

    /// Gives every unit, the host itself and the units that are added the services that the plan says.
    static func refresh(_ statuses: inout Statuses, agent: String, host: String, adding units: Set<String> = []) {
        for unit in Set(statuses.situation.members.keys).union(units).union([""]) {
            let planned = statuses.plan.services(ofUnit: unit, onHost: host)
            let present = statuses.situation.members[unit] ?? []
            guard planned != present else { continue }
            for service in planned { statuses.ensureService(service) }
            var moving: [ProblemKey: ServiceProblem] = [:]
            for service in present {
                for (key, problem) in statuses.situation.services[service]?.problems ?? [:] where key.agent == agent && key.subject == unit {
                    moving[key] = problem
                }
            }
            for service in planned.subtracting(present) {
                for (key, problem) in moving { statuses.adopt(key, problem, in: service) }
            }
            for service in present.subtracting(planned) {
                statuses.forget(in: service) { $0.agent == agent && $0.subject == unit }
            }
            statuses.situation.members[unit] = planned
        }
    }

    /// Forgets the units that the agent no longer watches.
    static func keep(_ statuses: inout Statuses, agent: String, units: Set<String>) {
        for (unit, services) in statuses.situation.members where !unit.isEmpty && !units.contains(unit) {
            for service in services { statuses.forget(in: service) { $0.agent == agent && $0.subject == unit } }
            statuses.situation.members[unit] = nil
            statuses.situation.restarts[unit] = nil
        }
    }
}
