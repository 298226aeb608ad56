// When another agent takes over a token: the host entry of the one before is retired.

public import Platform

/// What reporting with a token comes to.
public enum TokenUse: Equatable, Sendable {
    /// The token is this agent's, from its first use on.
    case own
    /// This agent takes over from one that has been silent for its grace; that one is to be retired.
    case takenOver(from: String)
    /// Another agent reports with it.
    case belongs(toAgent: String, host: String)

    /// - Parameters:
    ///   - agent: who reports now.
    ///   - holder: the agent that used the token before, as far as it is known.
    public static func decide(agent: String, holder: HostState?, grace: Duration, at now: Timestamp) -> TokenUse {
        guard let holder, holder.agent != agent else { return .own }
        guard now > holder.lastReport + grace else { return .belongs(toAgent: holder.agent, host: holder.name) }
        return .takenOver(from: holder.agent)
    }
}

/// The decision about an agent that has been replaced.
public enum HostRetirement {
    /// Its units are not watched any longer, and its problems end, which everybody hears who heard of them: the agent that replaces it
    /// tells its own.
    /// - Parameter newHost: how the agent that replaces it calls its host.
    public static func decide(
        on situation: Situation, replacedBy agent: String, on newHost: String, plan: ServicePlan, at now: Timestamp
    ) -> Decision {
        guard var host = situation.host, host.replacedBy != agent else { return Decision(situation: situation) }
        var statuses = Statuses(situation, plan: plan, now: now)
        for (unit, services) in statuses.situation.members {
            for service in services.sorted() {
                for key in (statuses.situation.services[service]?.problems ?? [:]).keys where key.agent == host.agent && key.subject == unit {
                    statuses.situation.services[service]?.problems[key]?.problem.text += "; replaced by the agent on \(newHost)"
                    statuses.recover(key, in: service, subject: .init(host: host.name, unit: unit.isEmpty ? nil : unit), at: now)
                }
            }
        }
        statuses.situation.members = [:]
        statuses.situation.restarts = [:]
        host.replacedBy = agent
        host.isSilent = false
        // What it reported before is no base for anything.
        host.snapshot = 0
        statuses.situation.host = host
        var decision = statuses.decision
        decision.isStateForgotten = true
        return decision
    }
}
