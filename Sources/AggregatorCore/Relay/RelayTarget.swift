// Whose agents a deploy of a service concerns.

import AgentAPI
import Platform

/// A host that reports a unit of a service.
struct RelayTarget: Equatable, Sendable {
    var agent: String
    /// Unlike any other of the same relay.
    var host: String
    var lastReport: Timestamp
    var isSilent: Bool
    /// The one unit of the service that a deploy of it can mean there, or why there is none.
    var unit: Result<String, Ambiguity>

    struct Ambiguity: Error, Equatable {
        var problem: String
    }

    /// - Parameters:
    ///   - name: of the service, as whoever deploys says it.
    ///   - units: of that service.
    static func all(of name: String, units: [UnitRecord], hosts: [HostRecord]) -> [RelayTarget] {
        let present = hosts.filter { $0.replacedBy == nil }
        let unitsOfAgents = Dictionary(grouping: units, by: \.agent)
        let concerned = present.filter { unitsOfAgents[$0.agent] != nil }
        let namesakes = Dictionary(grouping: concerned, by: \.name).filter { $1.count > 1 }
        return concerned.map { host in
            RelayTarget(
                agent: host.agent, host: namesakes[host.name] == nil ? host.name : "\(host.name) (\(host.agent.prefix(8)))",
                lastReport: host.lastReport, isSilent: host.isSilent,
                unit: unit(meantBy: name, of: unitsOfAgents[host.agent, default: []].map(\.state.name)))
        }.sorted { $0.host < $1.host }
    }

    private static func unit(meantBy name: String, of units: [String]) -> Result<String, Ambiguity> {
        if let same = units.first(where: { $0 == name }) ?? units.first(where: { $0 == "\(name).service" }) { return .success(same) }
        if units.count == 1, let only = units.first { return .success(only) }
        let some = units.sorted().prefix(10).joined(separator: ", ")
        return .failure(Ambiguity(problem: "\(name) has \(units.count) units there (\(some)): deploy one of them by its own name"))
    }
}
