// The door through which reports come in.

public import AgentAPI
public import Platform

/// Takes reports: whoever serves `POST /v1/reports` hands them over here.
public protocol ReportIngesting: Sendable {
    /// Stores what the report says and decides what follows from it, all or nothing.
    /// - Parameter token: the name of the token that it came with.
    func ingest(_ report: Report, token: String, at now: Timestamp) async throws(StoreError) -> ReportAnswer
}

/// What an agent is answered.
public enum ReportAnswer: Equatable, Sendable {
    case taken(Acknowledgement)
    /// The token is another agent's, which still reports; on this host, as that one calls it.
    case tokenOfAnother(host: String)
}
