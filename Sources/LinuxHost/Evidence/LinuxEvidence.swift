// What is kept of a unit before an action changes it.

public import AgentCore
import Glibc
public import Platform
import Synchronization

/// Reads the journal, the control group and /proc on a thread of its own, because the journal's disk may be slow.
public final class LinuxEvidence: EvidenceReader {
    private static let logLines = 10
    /// Threads that may wait for a disk that hangs; while they do, further evidence is given up.
    private static let mostThreads = 4

    private let loop: Loop
    private var waiting: [UInt64: Waiting] = [:]
    private var number: UInt64 = 0
    /// Those whose threads have not ended.
    private var running: [Collection] = []

    private struct Waiting {
        var look: Loop.Timer
        var done: ([String]) -> Void
    }

    public init(loop: Loop) { self.loop = loop }

    public func collect(
        of unit: String, initSystem: String, cgroup: String?, mainProcess: ProcessIdentity?, deadline: Duration, _ done: @escaping ([String]) -> Void
    ) {
        number += 1
        let id = number
        let collection = Collection(unit: initSystem == "systemd" ? unit : nil, cgroup: cgroup, mainProcess: mainProcess, logLines: Self.logLines)
        running.removeAll { $0.lines != nil }
        guard running.count < Self.mostThreads, collection.start() else {
            loop.after(.zero) { done(["no evidence: too much of it is being collected already"]) }
            return
        }
        running.append(collection)
        let start = SystemTime().now().uptime
        let look = loop.every(.milliseconds(5)) { [weak self] in
            guard let self, let waiting = self.waiting[id] else { return }
            let lines = collection.lines
            guard lines != nil || SystemTime().now().uptime - start >= deadline else { return }
            self.waiting[id] = nil
            self.loop.cancel(waiting.look)
            waiting.done(lines ?? ["no evidence: it could not be read in time"])
        }
        waiting[id] = Waiting(look: look, done: done)
    }
}

/// One collecting thread's work.
private final class Collection: Sendable {
    private let unit: String?
    private let cgroup: String?
    private let mainProcess: ProcessIdentity?
    private let logLines: Int
    private let collected = Mutex<[String]?>(nil)

    init(unit: String?, cgroup: String?, mainProcess: ProcessIdentity?, logLines: Int) {
        self.unit = unit
        self.cgroup = cgroup
        self.mainProcess = mainProcess
        self.logLines = logLines
    }

    /// `nil` until all is there.
    var lines: [String]? { collected.withLock { $0 } }

    func start() -> Bool {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 512 << 10)
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let result = pthread_create(&thread, &attributes, collect, context.toOpaque())
        if result != 0 { context.release() }
        return result == 0
    }

    fileprivate func run() {
        // The processes first: they are what may be gone soon.
        var lines = ProcessEvidence().lines(cgroup: cgroup, mainProcess: mainProcess)
        if let unit { lines += journalLines(of: unit, count: logLines) ?? ["no log lines: there are none, or the agent may not read the journal"] }
        collected.withLock { $0 = lines }
    }
}

private let collect: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
    if let context { Unmanaged<Collection>.fromOpaque(context).takeRetainedValue().run() }
    return nil
}
