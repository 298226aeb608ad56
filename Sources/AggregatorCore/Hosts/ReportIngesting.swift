// The door through which reports come in.

public import AgentAPI
public import Platform

/// Takes reports: whoever serves `POST /v1/reports` hands them over here.
public protocol ReportIngesting: Sendable {
    /// Stores what the report says and decides what follows from it, all or nothing.
    /// - Returns: up to which event the agent may forget.
    func ingest(_ report: Report, at now: Timestamp) async throws(StoreError) -> Acknowledgement
}
