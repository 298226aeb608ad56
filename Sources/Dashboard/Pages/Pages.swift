// Pages as they go out: read, laid out, and with a word when that fails.

import AggregatorCore
import Logging
import Platform

struct Pages: Sendable {
    let store: any DeployStoring & StoreReading
    let health: any HealthReading
    let runbook: @Sendable (_ service: String) -> String?
    let time: any TimeSource
    let logger: Logger

    func read(_ route: Route, at now: Timestamp) async throws(StoreError) -> (any Page)? {
        try await readPage(route, store: store, health: health, runbook: runbook, at: now)
    }

    /// What a live page replaces; `nil` when it cannot be read at present or is gone.
    func mainPart(_ route: Route) async -> MainPart? {
        let now = time.now().wall
        do {
            return try await read(route, at: now).map { MainPart($0, route: route, at: now) }
        } catch {
            logger.error("live page could not be read", metadata: ["page": "\(route.path)", "error": "\(error)"])
            return nil
        }
    }
}
