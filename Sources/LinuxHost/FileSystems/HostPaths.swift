// The host's files, seen from within a sandbox.

import Glibc

/// Where the host's file systems are mounted, and how a path of the host is reached from here.
///
/// A sandbox gives the agent mounts of its own: read-only ones, a /tmp and a /dev of its own, an empty /home. What it reads there is not the
/// host's. PID 1's table of mounts is open to everybody; its files to those alone who may trace it (CAP_SYS_PTRACE). Without that, a path is
/// used where both tables say that the same file lies there.
struct HostPaths {
    enum Place: Equatable {
        /// The host's file, by a path that can be opened.
        case at(String)
        /// It cannot be reached, and why, for a person.
        case hidden(String)
    }

    private enum Way {
        /// There is no sandbox.
        case direct
        case throughFirstProcess
        /// Whether there is one is not known, or nothing leads out of it.
        case compared
    }

    private let proc: ProcFileSystem
    private let way: Way
    /// As PID 1 sees them; empty where they cannot be read.
    private(set) var mounts: [String: Mount] = [:]
    /// As this process sees them, where they are compared.
    private var own: [String: Mount] = [:]
    /// Why the host's mounts are not known.
    private(set) var failure: String?

    init(_ proc: ProcFileSystem) {
        self.proc = proc
        let (own, host) = (link(proc.path("self/ns/mnt")), link(proc.path("1/ns/mnt")))
        way = host == nil ? .compared : own == host ? .direct : .throughFirstProcess
    }

    /// For a process whose own mounts are what it is asked about.
    init(ownOf proc: ProcFileSystem) {
        self.proc = proc
        way = .direct
    }

    /// Reads the tables.
    mutating func look() {
        let before = mounts
        failure = nil
        if let text = readFile(proc.path("1/mountinfo"), limit: 1 << 20), !text.isEmpty {
            mounts = LinuxHost.mounts(parsing: text.span)
        } else {
            mounts = [:]
            failure =
                "the host's mounts are not known: /proc/1/mountinfo cannot be read; where /proc is mounted with hidepid, that needs CAP_SYS_PTRACE"
        }
        // What the host mounts comes into the sandbox at the same moment, and nothing else comes there.
        guard way != .direct, own.isEmpty || mounts != before else { return }
        own = readFile(proc.path("self/mountinfo"), limit: 1 << 20).map { LinuxHost.mounts(parsing: $0.span) } ?? [:]
    }

    /// Where a path of the host is. Look before.
    func place(of path: String) -> Place {
        // Where the host's mounts are not known, nothing says that the path means another file there.
        if way == .direct || failure != nil || isShared(path) { return .at(proc.root + path.drop { $0 == "/" }) }
        if way == .throughFirstProcess { return .at(proc.path("1/root") + path) }
        return .hidden("the agent's sandbox has something of its own at \(path), and looking past it needs CAP_SYS_PTRACE")
    }

    /// Whether the same file lies there for the host and for this process.
    private func isShared(_ path: String) -> Bool {
        guard let host = Self.file(at: path, in: mounts), let own = Self.file(at: path, in: own) else { return false }
        return host == own
    }

    /// The mount point that a path lies below, or is.
    static func mountPoint(above path: String, in mounts: [String: Mount]) -> String? {
        var point = path
        while mounts[point] == nil {
            guard point != "/", let slash = point.lastIndex(of: "/") else { return nil }
            point = slash == point.startIndex ? "/" : String(point[..<slash])
        }
        return point
    }

    /// Which file of which file system lies at a path, whatever is mounted how.
    private static func file(at path: String, in mounts: [String: Mount]) -> (device: String, path: String)? {
        guard let point = mountPoint(above: path, in: mounts), let mount = mounts[point] else { return nil }
        let below = (mount.root == "/" ? "" : mount.root) + (point == "/" ? path : String(path.dropFirst(point.utf8.count)))
        return (mount.device, below.isEmpty ? "/" : below.count > 1 && below.hasSuffix("/") ? String(below.dropLast()) : below)
    }
}

/// What a symbolic link says; `nil` when it may not be read.
private func link(_ path: String) -> String? {
    var bytes = [CChar](repeating: 0, count: 256)
    let count = readlink(path, &bytes, bytes.count)
    return count > 0 ? String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
}
