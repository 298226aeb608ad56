// Many lives of one unit under a small model of systemd: whatever the order and the doubles in which its news arrives, each thing that
// happens to the unit is one event.

import AgentAPI
import AgentCore
import Platform
import Testing

@Suite struct RandomLives {
    @Test(arguments: 0..<300)
    func eachThingThatHappensIsOneEvent(seed: Int) {
        var systemd = SystemdModel(seed: UInt64(seed))
        let story = UnitStory()
        for _ in 0..<30 { systemd.somethingHappens() }
        for news in systemd.newsInOrderOfArrival() {
            switch news.what {
            case .ended(let pid): story.ends(at: news.at, pid: pid)
            case .state(let state):
                story.says(
                    at: news.at, state.words, run: state.run, pid: state.pid, restarts: state.restarts, exit: state.exit, job: state.job)
            }
        }
        story.pass(until: (systemd.news.last?.at ?? 0) + 10_000)
        #expect(
            story.happened.map { [$0.kind.rawValue, $0.cause?.rawValue].compactMap { $0 }.joined(separator: " ") }
                == systemd.expected + (systemd.isUp ? [] : ["unit_stopped request"]))
        #expect(story.tracker.phase == (systemd.isUp ? .up : .stopped))
    }
}

/// A unit with `Restart=always` and `RestartSec=100ms`, and what systemd 252 sends of it.
private struct SystemdModel {
    struct State {
        var words: String
        var run: String?
        var pid: Int32?
        var restarts = 0
        var exit: ExitReason?
        var job = false
    }

    enum What {
        case state(State)
        case ended(Int32)
    }

    private(set) var news: [(at: Int, what: What)] = []
    private(set) var expected: [String] = []
    private(set) var isUp = true
    private var random: UInt64
    private var clock = 0
    private var runs = 0
    /// How long the bus takes for the news of what happens now.
    private var latency = 0
    private var state = State(words: "active/running")

    init(seed: UInt64) {
        random = seed
        start()
    }

    mutating func somethingHappens() {
        latency = roll(45)
        // Either all has settled, or the unit is hit just after it came up.
        clock += roll(4) == 0 ? 1 + roll(20) : 300 + roll(3000)
        switch (isUp, roll(6)) {
        case (true, 0): stop()
        case (true, 1): restart()
        case (true, _): crash()
        case (false, _):
            // A start within a few seconds makes a restart of the stop.
            let isSoon = roll(2) == 0
            clock += isSoon ? 300 : 8000
            start(job: true)
            expected += isSoon ? ["unit_restarted request"] : ["unit_stopped request", "unit_up"]
        }
    }

    /// The bus keeps its order; the kernel tells of a process only while somebody watches it, and then at once.
    func newsInOrderOfArrival() -> [(at: Int, what: What)] {
        var arrived: [(at: Int, what: What)] = []
        var busTime = 0
        for item in news {
            if case .state = item.what {
                busTime = max(busTime, item.at)
                arrived.append((busTime, item.what))
            } else {
                arrived.append(item)
            }
        }
        var firstSeen: [Int32: Int] = [:]
        for case (let at, .state(let state)) in arrived {
            if let pid = state.pid, firstSeen[pid] == nil { firstSeen[pid] = at }
        }
        let watched = arrived.enumerated().map { index, item in
            if case .ended(let pid) = item.what { (index, max(item.at, firstSeen[pid] ?? item.at), item.what) } else { (index, item.at, item.what) }
        }
        return watched.sorted { ($0.1, $0.0) < ($1.1, $1.0) }.map { ($0.1, $0.2) }
    }

    private mutating func crash() {
        end(with: .signaled(9))
        say("failed/failed")
        say("activating/auto-restart")
        clock += 100
        state.restarts += 1
        say("activating/auto-restart", job: true)
        say("inactive/dead", job: true)
        start(job: roll(2) == 0)
        expected.append("unit_restarted failure")
    }

    private mutating func stop() {
        say(state.words, job: true)
        say("deactivating/stop-sigterm", job: true)
        clock += roll(200)
        end(with: .signaled(15))
        say("inactive/dead", job: roll(2) == 0)
        state.restarts = 0
        say("inactive/dead")
        isUp = false
    }

    private mutating func restart() {
        say("deactivating/stop-sigterm", job: true)
        clock += roll(200)
        end(with: .exited(status: 0))
        say("inactive/dead", job: true)
        state.restarts = 0
        start(job: true)
        expected.append("unit_restarted request")
    }

    private mutating func end(with exit: ExitReason) {
        if let pid = state.pid { news.append((clock, .ended(pid))) }
        state.pid = nil
        state.exit = exit
    }

    private mutating func start(job: Bool = false) {
        runs += 1
        isUp = true
        state.run = "\(runs)"
        state.pid = 100 + Int32(runs)
        state.exit = nil
        say("active/running", job: job)
        if job { say("active/running") }
    }

    private mutating func say(_ words: String, job: Bool = false) {
        state.words = words
        state.job = job
        for _ in 0...roll(2) { news.append((clock + latency, .state(state))) }
    }

    /// SplitMix64.
    private mutating func roll(_ bound: UInt64) -> Int {
        random &+= 0x9e37_79b9_7f4a_7c15
        var mixed = random
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return Int((mixed ^ (mixed >> 31)) % bound)
    }
}
