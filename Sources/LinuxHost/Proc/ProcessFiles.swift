// The smaller files of /proc/PID.

/// Pages in memory, the second number of /proc/PID/statm; `nil` for what is not such a line, and for a process without memory.
func residentPages(parsing text: Span<UInt8>) -> UInt64? {
    var position = 0
    text.skipWord(&position)
    guard let pages = text.number(&position), pages > 0 else { return nil }
    return pages
}

/// Bytes that went to and came from disks: /proc/PID/io.
struct ProcessTransfer: Equatable, Sendable {
    var read: UInt64
    var write: UInt64

    init?(parsing text: Span<UInt8>) {
        guard let read = text.number(of: "read_bytes:"), let write = text.number(of: "write_bytes:") else { return nil }
        self.read = read
        self.write = write
    }

    func adding(_ other: Self) -> Self {
        var sum = self
        sum.read = read &+ other.read
        sum.write = write &+ other.write
        return sum
    }
}

/// The sums over all mappings of a process, in bytes: /proc/PID/smaps_rollup.
struct MappedMemory: Equatable, Sendable {
    /// Each shared page by the share of one process.
    var proportional: UInt64
    /// What no other process has mapped.
    var unshared: UInt64

    init?(parsing text: Span<UInt8>) {
        guard let proportional = kilobytes(of: "Pss:", in: text), let clean = kilobytes(of: "Private_Clean:", in: text),
            let dirty = kilobytes(of: "Private_Dirty:", in: text)
        else { return nil }
        let (sum, overflow) = clean.addingReportingOverflow(dirty)
        guard !overflow else { return nil }
        self.proportional = proportional
        unshared = sum
    }
}

/// The bytes of a line `key 12 kB`.
func kilobytes(of key: StaticString, in text: Span<UInt8>) -> UInt64? {
    var position = 0
    repeat {
        guard text.takes(key, &position) else { continue }
        guard let number = text.number(&position), text.takes("kB", &position) else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1024)
        return overflow ? nil : bytes
    } while text.skipLine(&position)
    return nil
}

/// Appends the pids of a list: /proc/PID/task/TID/children, cgroup.procs. 0 stands for a process of another pid namespace.
func appendProcesses(parsing text: Span<UInt8>, to pids: inout [Int32]) {
    var position = 0
    while position < text.count {
        if let number = text.number(&position) {
            if number > 0, let pid = Int32(exactly: number) { pids.append(pid) }
        } else {
            text.skipWord(&position)
        }
        if position < text.count, text[position] < 32 { position += 1 }
    }
}
