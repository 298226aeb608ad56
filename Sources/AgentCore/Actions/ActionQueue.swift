// Which job of a unit comes next: never two at once.

import RuleLanguage

/// The jobs that rules and people ask of one unit. They run one after the other, each rule's in its written order.
struct ActionQueue {
    enum Step: Equatable {
        case unit(UnitVerb)
        case ladder([SignalStep])
        case exec(Command)
    }

    struct Job: Equatable {
        var step: Step
        /// Who asked for it.
        var reasons: [Reason]
    }

    /// Why something is done.
    enum Reason: Equatable {
        case rule(RuleCall)
        /// Somebody asked, by this name.
        case person(String)
    }

    /// A rule that failed or recovered, as its events name it.
    struct RuleCall: Equatable {
        var text: String
        var condition: String
        var routes: [String?]
        /// `else`: it is done because an episode is over.
        var isRecovery = false
    }

    /// The first one runs.
    private(set) var jobs: [Job] = []

    /// Adds what somebody asks for.
    ///
    /// A job that is there already serves two rules, when it comes late enough to keep the order of both: two rules that ask for a
    /// restart in the same cycle get one.
    mutating func add(_ steps: [Step], for reason: Reason) {
        var earliest = 0
        for step in steps {
            if let index = shared(step, by: reason, from: earliest) {
                jobs[index].reasons.append(reason)
                earliest = index + 1
            } else {
                jobs.append(Job(step: step, reasons: [reason]))
                earliest = jobs.count
            }
        }
    }

    /// Whether jobs that are there already serve all of it.
    func serves(_ steps: [Step], for reason: Reason) -> Bool {
        var earliest = 0
        for step in steps {
            guard let index = shared(step, by: reason, from: earliest) else { return false }
            earliest = index + 1
        }
        return true
    }

    /// Takes the job that has ended from the queue.
    mutating func end() { if !jobs.isEmpty { jobs.removeFirst() } }

    /// Leaves only these reasons for the first job.
    mutating func keep(_ reasons: [Reason]) { if !jobs.isEmpty { jobs[0].reasons = reasons } }

    private func shared(_ step: Step, by reason: Reason, from earliest: Int) -> Int? {
        jobs.indices.first { $0 >= earliest && jobs[$0].step == step && !jobs[$0].reasons.contains(reason) }
    }
}
