// Reports on their way into the database.

public import AgentAPI
import Logging
import Messages
public import Platform

/// Takes reports, decides what follows from them, and tells the pages.
public struct Ingestion: ReportIngesting {
    private let store: any DecisionStoring
    private let plan: CurrentPlan
    private let vitals: Vitals
    private let changes: Changes
    private let logger = Logger(label: "reports")

    public init(store: any DecisionStoring, plan: CurrentPlan, vitals: Vitals, changes: Changes) {
        self.store = store
        self.plan = plan
        self.vitals = vitals
        self.changes = changes
    }

    public func ingest(_ report: Report, at now: Timestamp) async throws(StoreError) -> Acknowledgement {
        let plan = plan.value
        let decision: Decision
        do throws(StoreError) {
            decision = try await store.decide(ReportIngest.scope(of: report, plan: plan)) { situation in
                ReportIngest.decide(report, on: situation, plan: plan, at: now)
            }
        } catch {
            // The agent keeps what we could not take, and is not silent.
            vitals.reportsRefused()
            throw error
        }
        log(decision, logger)
        changes.announce()
        return Acknowledgement(sequence: decision.situation.host?.lastSequence ?? 0)
    }
}

/// Says what was decided, for people who read logs.
func log(_ decision: Decision, _ logger: Logger) {
    for alert in decision.alerts {
        logger.notice(
            "alert",
            metadata: [
                "reason": "\(alert.reason.rawValue)", "service": "\(alert.service)", "status": "\(alert.status.rawValue)",
                "subject": "\(alert.subject.words)", "detail": "\(alert.detail)", "recipients": "\(alert.recipients.count)",
            ])
    }
}
