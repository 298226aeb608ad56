// What whoever acts must know of the unit that it acts on.

/// The key of the host itself, whose rules may run programs. No unit is called so.
let hostKey = ":host"

/// The watcher, as the actions see it.
protocol ActionGround: AnyObject {
    /// `nil` for a unit that is not watched any longer.
    /// - Parameter unit: its key.
    func standing(of unit: String) -> UnitStanding?

    /// Whether a rule's episode lasts.
    func isFailing(_ rule: String, of unit: String) -> Bool

    /// Whether what a rule says is still true, by what is known at this moment and not in the last cycle: its episode lasts, and a unit that
    /// it holds for down is not up again.
    func isTrueNow(_ rule: String, of unit: String) -> Bool

    /// Why nothing may be done to it now, for a person: a deploy window, or nobody watches it.
    func silence(of unit: String) -> String?
}

/// How a unit stands at one moment.
struct UnitStanding {
    /// Its own name.
    var unit: String
    var initSystem: (any InitSystem)?
    var observation: Observation?
    var isUp: Bool
    /// Numbers that grow with every run, and with every time that it was said to be down.
    var runs: Int
    var downs: Int
    var mainProcess: ProcessIdentity?
    var cgroup: String?
    var route: String?

    var activity: Observation.Activity? { observation?.presence == .present ? observation?.activity : nil }
    var hasJob: Bool { observation?.hasJob ?? false }
    /// How long its start may take.
    var startTimeout: Duration { observation?.startTimeout ?? UnitTracker.Patience.job }
}
