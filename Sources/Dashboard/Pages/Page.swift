// What a page is, and which there are to read.

import AggregatorCore
import Platform

/// A page: what was read for it, and how it shows. The same values and the same `now` make the same markup.
protocol Page: Sendable {
    var title: String { get }
    /// What matters on it, in a few words: a screen reader says it when it changes.
    var headline: String { get }
    @HTMLBuilder func content(at now: Timestamp) -> HTML
}

/// Reads the page of a route; `nil` when there is none, or nothing by that name.
func readPage(
    _ route: Route, store: any DeployStoring & StoreReading, health: any HealthReading, runbook: (_ service: String) -> String?, at now: Timestamp
)
    async throws(StoreError) -> (any Page)?
{
    switch route {
    case .services: try await ServicesPage(store: store)
    case .service(let name): try await ServicePage(name, store: store, runbook: runbook(name), at: now)
    case .hosts: try await HostsPage(store: store)
    case .host(let agent): try await HostPage(agent, store: store, at: now)
    case .health: try await HealthPage(health: health, at: now)
    case .deploys: try await DeploysPage(store: store)
    case .deploy(let id): try await DeployPage(id, store: store)
    case .addHost, .removeToken, .tokens, .revokeToken, .login, .logout, .setup, .status, .live, .asset, .reports, .deploysAPI, .deployAPI, .relay,
        .orders, .orderAnswers:
        nil
    }
}
