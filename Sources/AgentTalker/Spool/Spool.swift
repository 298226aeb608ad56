// Events on disk until an aggregator has them.

import AgentAPI
import Glibc
import Logging
import Platform

/// Numbers events and keeps them in the state folder until they are acknowledged. An event is written at once and forced to disk
/// before it is sent, so that a crash of the agent loses none, and a crash of the machine none that anybody was told of.
///
/// The state folder holds `agent-id` (32 hex digits) and `spool/NUMBER.events`: segments of about 1 MiB, each named after the first
/// number that it may hold, a line an event (see `SpoolLine`). The newest segment always exists, so that its name and its lines
/// tell the last number; where no segment is left, numbers could repeat, and the agent takes a new id. Acknowledged segments are
/// removed whole; what is acknowledged only in part may be sent again after a restart, and aggregators know events by their numbers.
///
/// When the spool is full (or the disk is), the *newest* events are refused. They get no number, so that the order stays and no gap
/// arises; once there is room again, one `eventsLost` event says how many there were, before anything newer is kept. A damaged line
/// is dropped, and an `eventsLost` event names its number.
///
/// It is for one thread, and its calls wait for the disk.
final class Spool {
    struct Bounds {
        /// Bytes of all segments.
        var total = 64 << 20
        /// Bytes after which a segment is closed.
        var segment = 1 << 20
    }

    /// Who numbers these events: 32 hex digits.
    private(set) var agent = ""
    /// The newest event's number; 0 when there was none yet.
    private(set) var last: UInt64 = 0
    /// Everything up to this number is delivered.
    private(set) var acknowledged: UInt64 = 0
    var isEmpty: Bool { acknowledged >= last }

    private struct Segment {
        var first: UInt64
        var path: String
        var size: Int
    }

    /// Events that found no room.
    fileprivate struct Refused {
        var count: Int
        var since: Timestamp
        var until: Timestamp
        var why: String
    }

    private let folder: String
    private let bounds: Bounds
    private let logger: Logger
    /// The spool's folder, locked: two agents would give out the same numbers.
    private let lock: Int32
    private var isShut = false
    /// In their order; the last one grows.
    private var segments: [Segment] = []
    /// The last segment, opened for appending.
    private var file: Int32 = -1
    private var isSynced = true
    private var refused: Refused?
    /// Where the first event after `acknowledged` starts in the first segment, if that is known: saves reading past the others.
    private var head = 0
    private var batchEnd: (sequence: UInt64, segment: UInt64, offset: Int)?

    /// - Parameter folder: the state folder; it is made when it is missing.
    init(folder: String, bounds: Bounds = Bounds(), at now: Timestamp, logger: Logger) throws(FileError) {
        self.folder = folder
        self.bounds = bounds
        self.logger = logger
        let spool = "\(folder)/spool"
        for path in [folder, spool] where mkdir(path, 0o700) != 0 && errno != EEXIST {
            throw FileError(path: path, problem: "cannot be made: \(reason())")
        }
        lock = open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard lock >= 0 else { throw FileError(path: spool, problem: "cannot be opened: \(reason())") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            Glibc.close(lock)
            throw FileError(path: folder, problem: "is in use by another agent")
        }
        do {
            try load(at: now)
        } catch {
            Glibc.close(lock)
            throw error
        }
    }

    deinit { shut() }

    /// Numbers the event and writes it.
    /// - Returns: its number; `nil` when there was no room.
    @discardableResult
    func append(_ event: Event, at now: Timestamp) -> UInt64? {
        tellRefused(at: now)
        guard refused == nil else {
            refuse(event, because: refused?.why ?? "", at: now)
            return nil
        }
        if let problem = write(event, within: bounds.total) {
            refuse(event, because: problem, at: now)
            return nil
        }
        return last
    }

    /// The oldest events that are not acknowledged: at most `count`, and at most `bytes` of them unless the first is larger.
    func pending(count: Int, bytes: Int, at now: Timestamp) -> [Event] {
        guard !isEmpty else { return [] }
        do {
            if let events = try readPending(count: count, bytes: bytes) { return events }
            try load(at: now)
            return try readPending(count: count, bytes: bytes) ?? []
        } catch {
            logger.error("the spool cannot be read", metadata: ["why": "\(error)"])
            return []
        }
    }

    /// Forces to disk what was appended; before it is sent.
    func sync() {
        guard !isSynced else { return }
        if fdatasync(file) != 0 { logger.error("the spool cannot be forced to disk", metadata: ["why": "\(reason())"]) }
        isSynced = true
    }

    /// Forgets events up to and including this number.
    func acknowledge(_ number: UInt64, at now: Timestamp) {
        guard number > acknowledged else { return }
        acknowledged = min(number, last)
        if isEmpty {
            let delivered = segments
            if (segments.last?.size ?? 0) > 0, startSegment() == nil { remove(delivered) }
        } else {
            let delivered = segments.indices.dropLast().prefix { segments[$0 + 1].first <= acknowledged + 1 }
            remove(Array(segments[delivered]))
            if let batchEnd, batchEnd.sequence == acknowledged, batchEnd.segment == segments.first?.first { head = batchEnd.offset }
        }
        tellRefused(at: now)
    }

    /// Takes a new id: another agent has used this one's numbers. Events that wait keep theirs.
    func takeNewIdentity() {
        let id = randomHex(bytes: 16)
        do {
            try AtomicFile.write(Array("\(id)\n".utf8), to: "\(folder)/agent-id", mode: 0o600)
        } catch {
            logger.error("the agent's id cannot be written", metadata: ["why": "\(error)"])
        }
        agent = id
    }

    /// Writes down what is known only in memory.
    func close(at now: Timestamp) {
        if let event = refused?.event(at: now) {
            // Beyond the bound by one line, because nobody will remember it otherwise.
            if write(event, within: .max) == nil { refused = nil }
        }
        sync()
        shut()
    }

    // MARK: Opening

    /// Reads what is on disk, mends it, and opens the last segment. Also called when damage is found later.
    private func load(at now: Timestamp) throws(FileError) {
        shutFile()
        segments = try findSegments()
        try readIdentity()
        if segments.isEmpty {
            if let problem = startSegment() { throw FileError(path: "\(folder)/spool", problem: problem) }
            acknowledged = last
            return
        }
        var scan = SpoolScan(first: segments[0].first)
        var mended: [Int: [UInt8]] = [:]
        for index in segments.indices {
            do {
                let content = try AtomicFile.read(segments[index].path, limit: readLimit)
                segments[index].size = content.count
                if let whole = scan.read(content, first: segments[index].first) { mended[index] = whole }
            } catch {
                // Kept for whoever wants to look at it.
                logger.error("a file of the spool cannot be read and is set aside", metadata: ["why": "\(error)"])
                rename(segments[index].path, "\(segments[index].path).damaged")
                scan.readDamaged()
                mended[index] = []
            }
        }
        scan.finish()
        last = max(last, scan.next - 1)
        acknowledged = max(acknowledged, segments[0].first - 1)
        try mend(mended, lost: scan.lost, at: now)
        guard let newest = segments.last else { return }
        file = open(newest.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw FileError(path: newest.path, problem: "cannot be opened: \(reason())") }
        isSynced = false
        head = 0
    }

    /// Replaces damaged segments. The event that tells of the loss goes first, with the last segment: a crash in between repeats it.
    private func mend(_ mended: [Int: [UInt8]], lost: [ClosedRange<UInt64>], at now: Timestamp) throws(FileError) {
        var mended = mended
        let newest = segments.count - 1
        if !lost.isEmpty {
            let numbers = lost.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound) to \($0.upperBound)" }.joined(separator: ", ")
            logger.error("the spool was damaged and events are lost", metadata: ["events": "\(numbers)"])
            last += 1
            let event = Event(
                sequence: last, kind: .eventsLost, at: now, importance: .error, detail: "the spool was damaged: lost events \(numbers)")
            var content = mended[newest] ?? []
            if mended[newest] == nil { content = try AtomicFile.read(segments[newest].path, limit: readLimit) }
            mended[newest] = content + SpoolLine.bytes(of: event.clipped()) + [10]
        }
        for (index, content) in mended.sorted(by: { $0.key > $1.key }) {
            try AtomicFile.write(content, to: segments[index].path, mode: 0o600)
            segments[index].size = content.count
        }
    }

    private func readIdentity() throws(FileError) {
        let path = "\(folder)/agent-id"
        var why = "this is the first start"
        if access(path, F_OK) == 0 {
            let content = (try? AtomicFile.read(path, limit: 4096)) ?? []
            let id = String(decoding: content.prefix(32), as: UTF8.self)
            let isWhole = id.utf8.count == 32 && id.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
            if isWhole, content.count <= 33, !segments.isEmpty {
                agent = id
                return
            }
            why = isWhole ? "the spool is gone" : "the file that held it is damaged"
        } else if !segments.isEmpty {
            why = "the file that held it is gone"
        }
        agent = randomHex(bytes: 16)
        try AtomicFile.write(Array("\(agent)\n".utf8), to: path, mode: 0o600)
        logger.notice("the agent has a new id", metadata: ["agent": "\(agent)", "why": "\(why)"])
    }

    private func findSegments() throws(FileError) -> [Segment] {
        let spool = "\(folder)/spool"
        guard let stream = opendir(spool) else { throw FileError(path: spool, problem: "cannot be read: \(reason())") }
        defer { closedir(stream) }
        var found: [Segment] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            guard name.hasSuffix(".events"), name.utf8.count == 27, let first = UInt64(name.dropLast(7)), first >= 1,
                first < SpoolLine.largestNumber
            else { continue }
            found.append(Segment(first: first, path: "\(spool)/\(name)", size: 0))
        }
        return found.sorted { $0.first < $1.first }
    }

    // MARK: Writing

    /// Gives the event the next number and writes it.
    /// - Returns: why not, when it could not be.
    private func write(_ event: Event, within limit: Int) -> String? {
        var event = event.clipped()
        event.sequence = last + 1
        let line = SpoolLine.bytes(of: event) + [10]
        guard segments.reduce(line.count, { $0 + $1.size }) <= limit else { return "the spool is full (\(limit) bytes)" }
        if let size = segments.last?.size, size > 0, size + line.count > bounds.segment, let problem = startSegment() { return problem }
        var written = 0
        while written < line.count {
            let count = line.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + written, line.count - written) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let problem = "writing failed: \(reason())"
                ftruncate(file, off_t(segments.last?.size ?? 0))
                return problem
            }
            written += count
        }
        segments[segments.count - 1].size += line.count
        isSynced = false
        last += 1
        return nil
    }

    /// Closes the segment that grew and starts the next one.
    /// - Returns: why not, when it could not be.
    private func startSegment() -> String? {
        let first = last + 1
        let digits = String(first)
        let path = "\(folder)/spool/\(String(repeating: "0", count: 20 - digits.utf8.count))\(digits).events"
        let next = open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard next >= 0 else { return "a file could not be made: \(reason())" }
        sync()
        shutFile()
        // The name carries the number: it has to be there before an older segment goes.
        fsync(lock)
        file = next
        segments.append(Segment(first: first, path: path, size: 0))
        return nil
    }

    private func remove(_ delivered: [Segment]) {
        for segment in delivered { unlink(segment.path) }
        segments.removeFirst(delivered.count)
        if !delivered.isEmpty {
            head = 0
            batchEnd = batchEnd.flatMap { end in segments.contains { $0.first == end.segment } ? end : nil }
        }
    }

    private func refuse(_ event: Event, because why: String, at now: Timestamp) {
        if refused == nil {
            refused = Refused(count: 0, since: now, until: now, why: why)
            logger.error("events are being lost", metadata: ["why": "\(why)"])
        }
        refused?.count += 1
        refused?.until = now
        logger.warning("an event is lost", metadata: ["kind": "\(event.kind.rawValue)", "unit": "\(event.unit ?? "")", "detail": "\(event.detail)"])
    }

    /// Once there is room again, says how many events found none. Room for a whole segment: a spool that is nearly full would take
    /// and refuse by turns.
    private func tellRefused(at now: Timestamp) {
        guard let event = refused?.event(at: now), write(event, within: bounds.total - bounds.segment) == nil else { return }
        refused = nil
    }

    // MARK: Reading

    /// `nil` when a line is damaged.
    private func readPending(count: Int, bytes: Int) throws(FileError) -> [Event]? {
        var events: [Event] = []
        var size = 0
        for (index, segment) in segments.enumerated() {
            let content = try AtomicFile.read(segment.path, limit: readLimit)
            var at = index == 0 ? min(head, content.count) : 0
            while at < content.count {
                guard let newline = content[at...].firstIndex(of: 10), let event = SpoolLine.event(content[at..<newline]) else { return nil }
                let length = newline + 1 - at
                at = newline + 1
                guard event.sequence > acknowledged else { continue }
                if !events.isEmpty, events.count >= count || size + length > bytes { return events }
                events.append(event)
                size += length
                batchEnd = (event.sequence, segment.first, at)
            }
        }
        return events
    }

    /// Segments end with the line that made them long enough, and a spool may have been written with other bounds.
    private var readLimit: Int { max(bounds.segment, Bounds().segment) + 3 * SpoolLine.maximumBytes }

    private func shutFile() {
        if file >= 0 { Glibc.close(file) }
        file = -1
    }

    private func shut() {
        shutFile()
        guard !isShut else { return }
        isShut = true
        // A child that was forked just now still holds a copy of the descriptor, until it execs.
        flock(lock, LOCK_UN)
        Glibc.close(lock)
    }
}

extension Spool.Refused {
    fileprivate func event(at now: Timestamp) -> Event {
        let span = count == 1 ? "1 event at \(since)" : "\(count) events between \(since) and \(until)"
        return Event(kind: .eventsLost, at: now, importance: .error, detail: "lost \(span): \(why)")
    }
}

private func reason() -> String { String(cString: strerror(errno)) }
