// What the processes that hold a listener wait for: to tell workers from what has only inherited a descriptor.

import DeployVerification
import Glibc
import Platform

/// Reads of each thread in which call the kernel keeps it (`/proc/PID/task/TID/syscall`), and of each epoll instance what is in it
/// (`/proc/PID/fdinfo`). Of `poll` and `select`, the list of descriptors is read where the call says that it is; nothing else of a process's memory
/// is ever read.
///
/// One look proves that a process waits for connections, and never that it does not: a worker that is busy waits for other things meanwhile.
struct ListenerWaits {
    enum Sample: Equatable {
        case at(Set<UInt64>)
        case elsewhere
        /// It runs, or waits for its turn, or for something that does not show.
        case unclear
    }

    private struct Known {
        var sample: ListenerWait
        var looked: Duration
    }

    private static let mostThreads = 64
    private static let mostDescriptors = 4096
    /// Two looks that follow each other closely show the same call.
    private static let betweenLooks = Duration.milliseconds(20)
    /// A process that is known to wait, for whatever, is seldom looked at.
    private static let betweenLateLooks = Duration.seconds(1)
    private static let manyLooks = 10

    private let proc: ProcFileSystem
    private var known: [ProcessMark: Known] = [:]

    init(_ proc: ProcFileSystem) { self.proc = proc }

    /// - Parameter held: the listeners that it holds, by descriptor.
    mutating func wait(of mark: ProcessMark, held: [Int32: UInt64], at now: Duration) -> ListenerWait? {
        let before = known[mark]
        if let before {
            let isKnown: Bool
            switch before.sample {
            case .at: isKnown = true
            case .elsewhere(let looks): isKnown = looks >= Self.manyLooks
            }
            guard now - before.looked >= (isKnown ? Self.betweenLateLooks : Self.betweenLooks) else { return before.sample }
        }
        var waits = before?.sample
        switch (sample(of: mark.pid, held: held), waits) {
        case (.at(let inodes), .at(let known)?): waits = .at(inodes.union(known))
        case (.at(let inodes), _): waits = .at(inodes)
        case (.elsewhere, nil): waits = .elsewhere(looks: 1)
        case (.elsewhere, .elsewhere(let looks)?): waits = .elsewhere(looks: min(looks + 1, Self.manyLooks))
        case (.elsewhere, .at?), (.unclear, _): break
        }
        if let waits { known[mark] = Known(sample: waits, looked: now) }
        return waits
    }

    mutating func forget(allBut marks: Set<ProcessMark>) { known = known.filter { marks.contains($0.key) } }

    // MARK: One look

    func sample(of pid: Int32, held: [Int32: UInt64]) -> Sample {
        var inodes = awaitedByEpoll(pid, held)
        var threads: [Int32] = []
        guard forEachEntry(of: proc.path(of: pid, "task"), { name, _ in decimal(name).map { threads.append(Int32(clamping: $0)) } }),
            threads.count <= Self.mostThreads
        else { return inodes.isEmpty ? .unclear : .at(inodes) }
        var isUnclear = false
        for thread in threads {
            guard let text = readFile("\(proc.path(of: pid, "task"))/\(thread)/syscall", limit: 256), let call = BlockedCall(parsing: text) else {
                // It runs, or may not be looked at.
                isUnclear = true
                continue
            }
            switch call.kind {
            case .accept: if let inode = held[Int32(truncatingIfNeeded: call.first)] { inodes.insert(inode) }
            case .poll:
                guard let found = awaitedByPoll(pid, at: call.first, count: call.second, held) else { isUnclear = true; continue }
                inodes.formUnion(found)
            case .select:
                guard let found = awaitedBySelect(pid, count: call.first, at: call.second, held) else { isUnclear = true; continue }
                inodes.formUnion(found)
            case .lock: isUnclear = isUnclear || !call.isOfThreads
            case .hidden: isUnclear = true
            case .other: break
            }
        }
        return !inodes.isEmpty ? .at(inodes) : isUnclear ? .unclear : .elsewhere
    }

    private func awaitedByEpoll(_ pid: Int32, _ held: [Int32: UInt64]) -> Set<UInt64> {
        var (found, left): (Set<UInt64>, Int) = ([], Self.mostDescriptors)
        let folder = proc.path(of: pid, "fd")
        var instances: [String] = []
        forEachEntry(of: folder) { name, _ in
            left -= 1
            guard left >= 0, decimal(name) != nil else { return }
            let number = String(decoding: name, as: UTF8.self)
            if linkTarget("\(folder)/\(number)") == "anon_inode:[eventpoll]" { instances.append(number) }
        }
        for number in instances {
            guard let text = readFile(proc.path(of: pid, "fdinfo/\(number)"), limit: 256 << 10) else { continue }
            for entry in EpollEntry.entries(parsing: text) where entry.isForReading {
                // The descriptor is that of the process which put it in.
                guard let inode = entry.inode ?? held[entry.descriptor], held.values.contains(inode) else { continue }
                found.insert(inode)
            }
        }
        return found
    }

    private func awaitedByPoll(_ pid: Int32, at address: UInt64, count: UInt64, _ held: [Int32: UInt64]) -> Set<UInt64>? {
        guard count > 0 else { return [] }
        guard count <= Self.mostDescriptors, let bytes = memory(of: pid, at: address, count: Int(count) * 8) else { return nil }
        var found: Set<UInt64> = []
        for offset in stride(from: 0, to: bytes.count - 7, by: 8) {
            guard let descriptor = bytes[...].word32(at: offset), let events = bytes[...].word16(at: offset + 4), events & 0x1 != 0,
                let inode = held[Int32(bitPattern: descriptor)]
            else { continue }
            found.insert(inode)
        }
        return found
    }

    private func awaitedBySelect(_ pid: Int32, count: UInt64, at address: UInt64, _ held: [Int32: UInt64]) -> Set<UInt64>? {
        guard count > 0, address != 0 else { return [] }
        let most = min(Int(clamping: count), 65536)
        guard let bytes = memory(of: pid, at: address, count: (most + 63) / 64 * 8) else { return nil }
        return Set(
            held.filter { descriptor, _ in
                descriptor >= 0 && descriptor < most && bytes[Int(descriptor) / 8] & (1 << UInt8(descriptor % 8)) != 0
            }.values)
    }

    private func memory(of pid: Int32, at address: UInt64, count: Int) -> [UInt8]? {
        guard let start = off_t(exactly: address) else { return nil }
        let file = open(proc.path(of: pid, "mem"), O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: count)
        return pread(file, &bytes, count, start) == count ? bytes : nil
    }
}

/// The call in which the kernel keeps a thread, and its first two arguments.
struct BlockedCall: Equatable {
    enum Kind: Equatable {
        case accept, poll, select, lock, other
        /// What it waits for does not show.
        case hidden
    }

    var number: Int
    var first: UInt64
    var second: UInt64

    /// Out of `/proc/PID/task/TID/syscall`: `7 0x7ffc9a1f 0x2 0x3e8 0x0 0x8 0x0 0x7ffc9a10 0x7f8e2c`. `nil` when it runs, or was interrupted.
    init?(parsing text: some Collection<UInt8>) {
        let words = text.split { $0 == 32 || $0 == 10 }.map { String(decoding: $0, as: UTF8.self) }
        func argument(_ index: Int) -> UInt64? { words[index].hasPrefix("0x") ? UInt64(words[index].dropFirst(2), radix: 16) : nil }
        guard words.count >= 3, let number = Int(words[0]), number >= 0, let first = argument(1), let second = argument(2) else { return nil }
        self.number = number
        self.first = first
        self.second = second
    }

    var kind: Kind { Self.kinds[number] ?? (Self.kinds.isEmpty ? .hidden : .other) }

    /// A lock between threads of one process, and not between processes.
    var isOfThreads: Bool { number == Self.futex && second & 128 != 0 }  // FUTEX_PRIVATE_FLAG

    #if arch(x86_64)
        private static let futex = 202
        private static let kinds: [Int: Kind] = [
            43: .accept, 288: .accept, 7: .poll, 271: .poll, 23: .select, 270: .select,
            202: .lock, 65: .lock, 220: .lock, 72: .lock, 73: .lock, 219: .hidden, 426: .hidden,
        ]
    #elseif arch(arm64)
        private static let futex = 98
        private static let kinds: [Int: Kind] = [
            202: .accept, 242: .accept, 73: .poll, 72: .select, 98: .lock, 193: .lock, 192: .lock, 25: .lock, 32: .lock, 128: .hidden, 426: .hidden,
        ]
    #else
        private static let futex = -1
        private static let kinds: [Int: Kind] = [:]
    #endif
}

/// One descriptor that an epoll instance waits for.
struct EpollEntry: Equatable {
    var descriptor: Int32
    var isForReading: Bool
    /// Older kernels do not tell it.
    var inode: UInt64?

    /// Out of `/proc/PID/fdinfo/N`: `tfd:        5 events:       19 data:                5  pos:0 ino:4a21 sdev:8`.
    static func entries(parsing text: [UInt8]) -> [EpollEntry] {
        text.split(separator: 10).compactMap { line in
            let words = line.split { $0 == 32 || $0 == 9 }.map { String(decoding: $0, as: UTF8.self) }
            guard words.count >= 4, words[0] == "tfd:", let descriptor = Int32(words[1]), words[2] == "events:",
                let events = UInt32(words[3], radix: 16)
            else { return nil }
            let inode = words.first { $0.hasPrefix("ino:") }.flatMap { UInt64($0.dropFirst(4), radix: 16) }
            return EpollEntry(descriptor: descriptor, isForReading: events & 0x1 != 0, inode: inode)
        }
    }
}
