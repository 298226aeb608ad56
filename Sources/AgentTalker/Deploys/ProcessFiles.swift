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
        guard let status = status(of: process.pid) else { return false }
        return status.start == process.startTicks && status.state != UInt8(ascii: "Z") && status.state != UInt8(ascii: "X")
    }

    func execGeneration(of pid: Int32) -> ExecGeneration {
        if let content = read(path(pid, "auxv"), limit: 4096), let generation = ExecGeneration(auxiliaryVector: content) { return generation }
        // 0 and 1 stand for "not for you".
        guard let code = status(of: pid)?.code, code > 1 else { return .unknown }
        return .code(code)
    }

    /// The user as whom the process acts.
    func user(of pid: Int32) -> uid_t? { read(path(pid, "status"), limit: 16384).flatMap { effectiveUser(parsing: $0) } }

    private func status(of pid: Int32) -> ProcessStatus? { read(path(pid, "stat"), limit: 4096).flatMap { ProcessStatus(parsing: $0) } }
}

/// Out of /proc/PID/status: the second number behind `Uid:`.
func effectiveUser(parsing content: [UInt8]) -> uid_t? {
    for line in content.split(separator: 10) where line.starts(with: "Uid:".utf8) {
        let numbers = line.dropFirst(4).split { $0 == 9 || $0 == 32 }
        return numbers.count >= 2 ? uid_t(String(decoding: numbers[1], as: UTF8.self)) : nil
    }
    return nil
}

/// What /proc/PID/stat says: fields 3, 22 and, where it has so many, 26.
struct ProcessStatus: Equatable {
    var state: UInt8
    var start: UInt64
    var code: UInt64?

    /// It is read for every main process in every cycle, and therefore in place.
    init?(parsing content: [UInt8]) {
        // The second field, the command, may hold anything.
        guard let end = content.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        var state: UInt8 = 0
        var number = 2
        var start: UInt64?
        for field in content[(end + 1)...].split(maxSplits: 25, whereSeparator: { $0 == 32 || $0 == 10 }) {
            number += 1
            switch number {
            case 3: state = field.first ?? 0
            case 22: start = decimal(field)
            case 26: code = decimal(field)
            default: break
            }
        }
        guard let start else { return nil }
        (self.state, self.start) = (state, start)
    }
}

extension ExecGeneration {
    /// Out of /proc/PID/auxv: pairs of machine words, a type and its value.
    init?(auxiliaryVector content: [UInt8]) {
        var (random, sysinfo): (UInt64?, UInt64?)
        content.withUnsafeBytes { bytes in
            for offset in stride(from: 0, through: bytes.count - 16, by: 16) {
                let value = bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
                switch bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) {
                case 25: random = value
                case 33: sysinfo = value
                default: break
                }
            }
        }
        guard let random, let sysinfo else { return nil }
        self = .vector(random: random, sysinfo: sysinfo)
    }
}

/// An unsigned number in decimal digits; `nil` for anything else, and for what does not fit.
private func decimal(_ digits: ArraySlice<UInt8>) -> UInt64? {
    var number: UInt64 = 0
    for digit in digits {
        guard (48...57).contains(digit) else { return nil }
        let (tens, overflowed) = number.multipliedReportingOverflow(by: 10)
        let (sum, alsoOverflowed) = tens.addingReportingOverflow(UInt64(digit - 48))
        guard !overflowed, !alsoOverflowed else { return nil }
        number = sum
    }
    return digits.isEmpty ? nil : number
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
    var hasFailed = false
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, size in
        while size < limit {
            let count = Glibc.read(file, buffer.baseAddress?.advanced(by: size), limit - size)
            if count < 0, errno == EINTR { continue }
            hasFailed = count < 0
            guard count > 0 else { break }
            size += count
        }
    }
    return hasFailed ? nil : bytes
}
