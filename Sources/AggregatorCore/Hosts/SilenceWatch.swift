// Looks for agents that have stopped reporting.

import Logging
public import Platform
public import ServiceLifecycle

/// Every few seconds: which agents are beyond their grace? The first pass is a grace after the start, because what was missed while
/// the aggregator was down is not the agents' silence.
public struct SilenceWatch: Service {
    static let pause = Duration.seconds(5)

    private let store: any DecisionStoring & StoreKeeping & StoreReading
    private let plan: CurrentPlan
    private let vitals: Vitals
    private let changes: Changes
    private let time: any TimeSource
    private let logger = Logger(label: "hosts")

    public init(
        store: any DecisionStoring & StoreKeeping & StoreReading, plan: CurrentPlan, vitals: Vitals, changes: Changes, time: any TimeSource
    ) {
        self.store = store
        self.plan = plan
        self.vitals = vitals
        self.changes = changes
        self.time = time
    }

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            var wakefulness = Wakefulness(at: time.now())
            while !Task.isCancelled {
                let now = time.now()
                wakefulness.observe(now)
                await pass(&wakefulness, now)
                try? await time.sleep(Self.pause)
            }
        }
    }

    private func pass(_ wakefulness: inout Wakefulness, _ now: Moment) async {
        if vitals.takeRefusedReports() { wakefulness.restart(at: now) }
        let plan = plan.value
        let awakeSince = wakefulness.since
        do throws(StoreError) {
            // The sign of life comes first: while nothing can be written, no report can be taken and nobody is silent.
            try await store.beat("aggregator", at: now.wall)
            for host in try await store.hosts() where !host.isSilent && host.replacedBy == nil {
                guard
                    HostSilence.isOverdue(
                        lastReport: host.lastReport, interval: host.interval, plan: plan, awakeSince: awakeSince, at: now.wall)
                else { continue }
                let decision = try await store.decide(Membership.scope(agent: host.agent, host: host.name, units: [], plan: plan)) { situation in
                    HostSilence.decide(on: situation, plan: plan, awakeSince: awakeSince, at: now.wall)
                }
                log(decision, logger)
                changes.announce()
            }
            vitals.storeWorked(at: now)
        } catch {
            wakefulness.restart(at: now)
            vitals.storeFailed("\(error)")
            logger.error("looking for silent agents failed", metadata: ["problem": "\(error)"])
        }
    }
}
