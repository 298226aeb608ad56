// A file with one line for everything that was done to a unit, and why.

import Glibc
import Logging
import Platform

/// `actions.log` in the state folder: append-only, a JSON object a line. At a mebibyte it becomes `actions.log.1`, in place of the one before.
final class ActionLog {
    struct Entry {
        var at: Timestamp
        var unit: String
        /// `restart`, `exec /usr/local/bin/heal`
        var verb: String
        var rule: String?
        /// The rule's condition, or who asked.
        var because: String
        /// `done`, or why not.
        var outcome: String
        var evidence: [String]
        var took: Duration
    }

    static let limit = 1 << 20

    private let path: String
    private let logger: Logger
    private var file: Int32 = -1
    private var size = 0
    private var hasFailed = false

    init(folder: String, logger: Logger) {
        path = folder.hasSuffix("/") ? "\(folder)actions.log" : "\(folder)/actions.log"
        self.logger = logger
    }

    deinit { if file >= 0 { close(file) } }

    /// One write(2) to the page cache. What cannot be written is said in the log of the agent, once until it works again.
    func write(_ entry: Entry) {
        let line = entry.json.bytes + [10]
        if file >= 0, size + line.count > Self.limit { rotate() }
        if file < 0, !begin() { return }
        let written = line.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        guard written == line.count else {
            fail(written < 0 ? String(cString: strerror(errno)) : "the disk is full")
            // Half a line would spoil the next one.
            if written > 0 { ftruncate(file, off_t(size)) }
            return
        }
        size += written
        hasFailed = false
    }

    private func begin() -> Bool {
        file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else {
            fail(String(cString: strerror(errno)))
            return false
        }
        var status = stat()
        size = fstat(file, &status) == 0 ? Int(status.st_size) : 0
        if size >= Self.limit {
            rotate()
            return file >= 0 || begin()
        }
        return true
    }

    private func rotate() {
        close(file)
        file = -1
        size = 0
        if rename(path, "\(path).1") != 0 { unlink(path) }
    }

    private func fail(_ why: String) {
        if !hasFailed { logger.warning("action log cannot be written", metadata: ["file": "\(path)", "why": "\(why)"]) }
        hasFailed = true
    }
}

extension ActionLog.Entry {
    var json: JSON {
        var members: [JSON.Member] = [
            .init("at", .string(at.text())), .init("unit", .string(unit)), .init("verb", .string(verb)), .init("because", .string(because)),
        ]
        if let rule { members.append(.init("rule", .string(rule))) }
        members += [.init("outcome", .string(outcome)), .init("took_ms", .integer(took.microseconds / 1000))]
        if !evidence.isEmpty { members.append(.init("evidence", .array(evidence.map(JSON.string)))) }
        return .object(members)
    }
}
