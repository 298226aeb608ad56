// Runs the configured checks and stores what they find.

import AgentAPI
import Checks
import Logging
public import Platform
public import ServiceLifecycle

/// The loop that runs checks, and the door through which a reload changes which.
public struct Checking: Service {
    /// How long a result that could not be stored is kept before it is given up: the next run brings another.
    static let retryPause = Duration.seconds(1)
    static let storeAttempts = 5

    private let store: any DecisionStoring & StoreReading
    private let plan: CurrentPlan
    private let runner: CheckRunner
    private let vitals: Vitals
    private let changes: Changes
    private let time: any TimeSource
    private let logger = Logger(label: "checks")

    public init(
        store: any DecisionStoring & StoreReading, plan: CurrentPlan, vitals: Vitals, changes: Changes, time: any TimeSource
    ) {
        self.store = store
        self.plan = plan
        self.vitals = vitals
        self.changes = changes
        self.time = time
        runner = CheckRunner(time: time)
    }

    /// Makes the database and the schedule follow a plan: at the start, and after each change of the configuration.
    public func apply(_ plan: ServicePlan) async throws(StoreError) {
        let now = time.now().wall
        self.plan.value = plan
        _ = try await store.decide(Reconfiguration.scope(plan)) { Reconfiguration.decide(on: $0, plan: plan, at: now) }
        for host in try await store.hosts() {
            let units = try await store.units(ofAgent: host.agent).map(\.state.name)
            _ = try await store.decide(Membership.scope(agent: host.agent, host: host.name, units: units, plan: plan)) {
                Membership.decide(on: $0, plan: plan, at: now)
            }
        }
        await runner.update(checks: plan.checks.map(\.check))
        changes.announce()
    }

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            await runner.run(
                onResult: { await store($0) },
                onPass: { vitals.schedulerPassed(at: $0.at, lateness: $0.lateness) })
        }
    }

    /// A database that fails is the aggregator's problem and never the check's: the result waits a little, then the next one counts.
    private func store(_ result: CheckResult) async {
        for attempt in 1...Self.storeAttempts {
            let plan = plan.value
            guard let configured = plan.checks.first(where: { $0.check.name == result.check }) else { return }
            let now = time.now().wall
            do throws(StoreError) {
                let decision = try await store.decide(.check(CheckKey(service: configured.service, name: configured.name))) { situation in
                    ResultIntake.decide(result, of: configured, on: situation, plan: plan, at: now)
                }
                log(decision, logger)
                changes.announce()
                return
            } catch {
                logger.error(
                    "storing a result failed", metadata: ["check": "\(result.check)", "attempt": "\(attempt)", "problem": "\(error)"])
                try? await time.sleep(Self.retryPause)
            }
        }
    }
}
