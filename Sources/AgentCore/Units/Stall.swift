// A main process that is there and does nothing.

import Platform

/// Whether a unit's main process has been stopped, or waiting for a device, for longer than is normal.
struct Stall: Equatable, Sendable {
    /// What is seen of it in one cycle.
    enum State: Equatable {
        case process(ProcessState)
        /// Its control group is frozen, and all of its processes with it.
        case frozen

        static let running = State.process(.running)
        init(_ state: ProcessState) { self = .process(state) }
    }

    enum Outcome: Equatable {
        case none
        /// What it is, for a person.
        case stuck(String)
        case unstuck
    }

    /// How long a state must last. Both occur for moments in every healthy process.
    static let stoppedPatience = Duration.seconds(10)
    static let blockedPatience = Duration.seconds(60)

    private(set) var isStuck = false
    private var state: State?
    private var since = Duration.zero

    /// - Parameter isStuck: an earlier life of the agent told that it is.
    init(isStuck: Bool = false) { self.isStuck = isStuck }

    /// Takes the state of this cycle; what nobody can say proves nothing.
    mutating func observe(_ next: State?, at uptime: Duration) -> Outcome {
        guard let next else { return .none }
        if next != state {
            state = next
            since = uptime
        }
        let seconds = (uptime - since).components.seconds
        switch next {
        case .frozen where uptime - since >= Self.stoppedPatience:
            return begin("it has been frozen for \(seconds) s (`systemctl thaw` continues it)")
        case .process(.stopped) where uptime - since >= Self.stoppedPatience:
            return begin("its main process has been stopped for \(seconds) s (state T)")
        case .process(.blocked) where uptime - since >= Self.blockedPatience:
            return begin("its main process has been waiting for a disk or a device for \(seconds) s (state D)")
        case .frozen, .process(.stopped), .process(.blocked):
            return .none
        case .process(.running), .process(.zombie), .process(.other):
            guard isStuck else { return .none }
            isStuck = false
            return .unstuck
        }
    }

    private mutating func begin(_ text: String) -> Outcome {
        if isStuck { return .none }
        isStuck = true
        return .stuck(text)
    }
}
