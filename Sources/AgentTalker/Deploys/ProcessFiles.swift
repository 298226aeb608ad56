// What /proc says about one process.

import AgentCore
import Glibc

/// Which exec a process descends from: every exec draws these addresses anew, a fork inherits them. A process that execs itself
/// anew (a hot restart) keeps its pid and its start time; only this changes.
enum ExecGeneration: Equatable, Sendable {
    /// AT_RANDOM and AT_SYSINFO_EHDR of the auxiliary vector.
    case vector(random: UInt64, sysinfo: UInt64)
    /// Where the program's code starts, when the vector does not tell.
    case code(UInt64)
    /// Neither may be read: there is no exec evidence.
    case unknown

    /// Whether an exec lies between the two. A process that is ending shows less of itself than before: that is none.
    func isLater(than other: ExecGeneration) -> Bool {
        switch (self, other) {
        case (.vector, .vector), (.code, .code): self != other
        default: false
        }
    }
}

struct ProcessFiles {
    let root: String

    func path(_ pid: Int32, _ name: String) -> String { "\(root)/\(pid)/\(name)" }

    /// Whether the process is still the one that is meant, and alive.
    func isAlive(_ process: ProcessIdentity) -> Bool {
        guard let fields = stat(of: process.pid), let state = fields.first, let start = UInt64(fields[19]) else { return false }
        return start == process.startTicks && state != "Z" && state != "X"
    }

    func execGeneration(of pid: Int32) -> ExecGeneration {
        if let vector = auxiliaryVector(of: pid), let random = vector[25], let sysinfo = vector[33] {
            return .vector(random: random, sysinfo: sysinfo)
        }
        // 0 and 1 stand for "not for you".
        guard let fields = stat(of: pid), fields.count > 23, let code = UInt64(fields[23]), code > 1 else { return .unknown }
        return .code(code)
    }

    /// The user as whom the process acts.
    func user(of pid: Int32) -> uid_t? {
        guard let content = read(path(pid, "status"), limit: 16384) else { return nil }
        for line in content.split(separator: 10) where line.starts(with: "Uid:".utf8) {
            let numbers = line.dropFirst(4).split { $0 == 9 || $0 == 32 }
            return numbers.count >= 2 ? uid_t(String(decoding: numbers[1], as: UTF8.self)) : nil
        }
        return nil
    }

    /// The fields of `stat` from the third (the state) on: the second, the command, may hold anything.
    private func stat(of pid: Int32) -> [String]? {
        guard let content = read(path(pid, "stat"), limit: 4096), let end = content.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = content[(end + 1)...].split { $0 == 32 || $0 == 10 }.map { String(decoding: $0, as: UTF8.self) }
        return fields.count > 19 ? fields : nil
    }

    /// Pairs of machine words: a type and its value.
    private func auxiliaryVector(of pid: Int32) -> [UInt64: UInt64]? {
        guard let content = read(path(pid, "auxv"), limit: 4096) else { return nil }
        let words = content.withUnsafeBytes { bytes in
            (0..<bytes.count / 8).map { bytes.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self) }
        }
        var vector: [UInt64: UInt64] = [:]
        for index in stride(from: 0, to: words.count - 1, by: 2) { vector[words[index]] = words[index + 1] }
        return vector
    }
}

/// At most `limit` bytes of a small file; `nil` when it cannot be read.
private func read(_ path: String, limit: Int) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard file >= 0 else { return nil }
    defer { close(file) }
    return readAll(file, limit: limit)
}

/// What a descriptor holds, up to `limit` bytes.
func readAll(_ file: Int32, limit: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: limit)
    var size = 0
    while size < limit {
        let count = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress! + size, limit - size) }
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { return nil }
        if count == 0 { break }
        size += count
    }
    return Array(bytes[..<size])
}
