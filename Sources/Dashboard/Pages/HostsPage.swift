// Every host that reports, or should.

import AgentAPI
import AggregatorCore
import Platform

struct HostsPage: Page {
    var hosts: [HostRecord]
    /// By agent.
    var units: [String: [UnitRecord]]

    init(store: any StoreReading) async throws(StoreError) {
        // A retired one is named on the page of the one that replaces it.
        hosts = try await store.hosts().filter { $0.replacedBy == nil }
        units = Dictionary(grouping: try await store.units(ofService: nil), by: \.agent)
        hosts.sort { [units] in (rank($0, units), $0.name, $0.agent) < (rank($1, units), $1.name, $1.agent) }
    }

    var title: String { "Hosts" }

    var headline: String {
        let silent = hosts.count { $0.isSilent }
        if hosts.isEmpty { return "No host has reported yet" }
        if silent > 0 { return "\(silent) of \(counted(hosts.count, "host")) \(silent == 1 ? "is" : "are") silent" }
        return hosts.count == 1 ? "The one host reports" : "All \(hosts.count) hosts report"
    }

    func content(at now: Timestamp) -> HTML {
        div(.class("heading")) {
            h1 { "Hosts" }
            a(.class("button"), .href(.addHost)) { "Add a host" }
        }
        p(.class("lead")) { headline }
        if hosts.isEmpty {
            section(.class("card steps")) {
                h2 { "Start with a host" }
                p { "Make a token for it; the next page shows the commands to run on the host. It appears here with its first report." }
            }
        } else {
            dataTable(
                caption: "Hosts", columns: ["Host", "Agent", "Last report", "Units", "Load", "CPU", "Free memory"],
                rows: hosts.map { host in
                    [
                        Cell("name") { a(.href(.host(agent: host.agent))) { host.name } },
                        Cell {
                            Badge(host).html
                            span(.class("under")) { "version \(host.version)" }
                        },
                        Cell { shortMoment(host.lastReport, now: now) },
                        Cell { unitCount(units[host.agent] ?? []) },
                        Cell("number") { Measurement.hostLoad.latest(in: host.samples) },
                        Cell("number") { Measurement.hostCPU.latest(in: host.samples) },
                        Cell("number") { Measurement.hostMemory.latest(in: host.samples) },
                    ]
                })
        }
    }
}

/// Silent hosts first, then those with units down.
private func rank(_ host: HostRecord, _ units: [String: [UnitRecord]]) -> Int {
    if host.isSilent { return 0 }
    return (units[host.agent] ?? []).contains { $0.state.phase == .down } ? 1 : 2
}

private func unitCount(_ units: [UnitRecord]) -> HTML {
    let down = units.count { $0.state.phase == .down }
    guard down > 0 else { return HTML(text: "\(units.count)") }
    return span(.class("down")) {
        icon(.critical)
        "\(down) of \(units.count) down"
    }
}
