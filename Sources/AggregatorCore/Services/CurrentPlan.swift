// The plan that holds now: a reload replaces it as a whole.

import Synchronization

public final class CurrentPlan: Sendable {
    private let plan: Mutex<ServicePlan>

    public init(_ plan: ServicePlan) { self.plan = Mutex(plan) }

    public var value: ServicePlan {
        get { plan.withLock { $0 } }
        set { plan.withLock { $0 = newValue } }
    }
}
