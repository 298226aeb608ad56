// What the files of a control group say.

/// Of memory.stat, in bytes.
struct CgroupMemory: Equatable, Sendable {
    /// File cache that the kernel takes back first.
    var inactiveFile: UInt64
    /// Memory that no file is behind.
    var anonymous: UInt64?
    /// Of version 1, which has no file of its own for it.
    var swap: UInt64?
    /// Of version 1: the lowest limit up the tree; `nil` when there is none.
    var limit: UInt64?

    /// Of version 2.
    init?(second text: Span<UInt8>) {
        guard let inactive = text.number(of: "inactive_file") else { return nil }
        inactiveFile = inactive
        anonymous = text.number(of: "anon")
    }

    /// Of version 1, with what is in the groups below.
    init?(first text: Span<UInt8>) {
        guard let inactive = text.number(of: "total_inactive_file") else { return nil }
        inactiveFile = inactive
        anonymous = text.number(of: "total_rss")
        swap = text.number(of: "total_swap")
        // "No limit" is the highest multiple of a page.
        limit = text.number(of: "hierarchical_memory_limit").flatMap { $0 < 1 << 62 ? $0 : nil }
    }
}

/// Processor time of all processes that a group has had, in microseconds since it was made.
struct CgroupProcessor: Equatable, Sendable {
    var total: UInt64
    var user: UInt64?
    var system: UInt64?

    /// cpu.stat of version 2, which needs no controller.
    init?(second text: Span<UInt8>) {
        guard let total = text.number(of: "usage_usec") else { return nil }
        self.total = total
        user = text.number(of: "user_usec")
        system = text.number(of: "system_usec")
    }

    /// cpuacct.usage of version 1, in nanoseconds.
    init?(first text: Span<UInt8>) {
        guard let nanoseconds = text.firstNumber() else { return nil }
        total = nanoseconds / 1000
    }

    /// Adds cpuacct.stat of version 1, in clock ticks.
    mutating func addSplit(_ text: Span<UInt8>, clockTicks: UInt64) {
        user = text.number(of: "user").flatMap { microseconds(ticks: $0, clockTicks) }
        system = text.number(of: "system").flatMap { microseconds(ticks: $0, clockTicks) }
    }
}

private func microseconds(ticks: UInt64, _ clockTicks: UInt64) -> UInt64? {
    let (product, overflow) = ticks.multipliedReportingOverflow(by: 1_000_000)
    return overflow ? nil : product / max(1, clockTicks)
}

/// How long a quota made a group wait: cpu.stat of either version.
struct CgroupThrottling: Equatable, Sendable {
    /// Periods in which a quota was in force.
    var periods: UInt64
    /// In microseconds.
    var time: UInt64

    init?(parsing text: Span<UInt8>) {
        guard let periods = text.number(of: "nr_periods") else { return nil }
        self.periods = periods
        if let microseconds = text.number(of: "throttled_usec") {
            time = microseconds
        } else if let nanoseconds = text.number(of: "throttled_time") {
            time = nanoseconds / 1000
        } else {
            return nil
        }
    }
}

/// memory.events of version 2, memory.oom_control of version 1.
struct CgroupMemoryEvents: Equatable, Sendable {
    var high: UInt64?
    var oom: UInt64?
    /// Kernels before 4.13 do not tell.
    var kills: UInt64?

    init(parsing text: Span<UInt8>) {
        high = text.number(of: "high")
        oom = text.number(of: "oom")
        kills = text.number(of: "oom_kill")
    }
}

extension ProcessTransfer {
    /// io.stat of version 2: a line `8:0 rbytes=1 wbytes=2 rios=3 ...` for each disk. An empty file says that nothing was transferred yet.
    init?(second text: Span<UInt8>) {
        var sums = Sums()
        var position = 0
        while position < text.count {
            if let number = number(after: "rbytes=", in: text, position) { sums.add(read: number) }
            if let number = number(after: "wbytes=", in: text, position) { sums.add(write: number) }
            text.skipWord(&position)
            if position < text.count, text[position] <= 32 { position += 1 }
        }
        self.init(sums)
    }

    /// blkio.throttle.io_service_bytes_recursive of version 1: lines `8:0 Read 1`, `8:0 Write 2`, ..., `Total 3`.
    init?(first text: Span<UInt8>) {
        var sums = Sums()
        var position = 0
        var isOfIt = false
        repeat {
            if text.takes("Total", &position) {
                isOfIt = true
                continue
            }
            text.skipWord(&position)
            if text.takes("Read", &position) {
                if let number = text.number(&position) { sums.add(read: number) }
            } else if text.takes("Write", &position) {
                if let number = text.number(&position) { sums.add(write: number) }
            }
        } while text.skipLine(&position)
        guard isOfIt else { return nil }
        self.init(sums)
    }

    private init?(_ sums: Sums) {
        guard !sums.overflown else { return nil }
        read = sums.read
        write = sums.write
    }
}

private struct Sums {
    var read: UInt64 = 0
    var write: UInt64 = 0
    var overflown = false

    mutating func add(read number: UInt64) {
        let (sum, overflow) = read.addingReportingOverflow(number)
        read = sum
        overflown = overflown || overflow
    }

    mutating func add(write number: UInt64) {
        let (sum, overflow) = write.addingReportingOverflow(number)
        write = sum
        overflown = overflown || overflow
    }
}

private func number(after key: StaticString, in text: Span<UInt8>, _ position: Int) -> UInt64? {
    var index = position
    for offset in 0..<key.utf8CodeUnitCount {
        guard index < text.count, text[index] == key.utf8Start[offset] else { return nil }
        index += 1
    }
    return text.number(&index)
}
