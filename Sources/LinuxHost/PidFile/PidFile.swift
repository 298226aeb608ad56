// A file with a pid in it.

import AgentCore
import Glibc
import Platform

/// What a pid file says about the process that it names.
enum PidFile: Equatable, Sendable {
    case runs(ProcessIdentity)
    /// The file is there, the process is not: it ended without taking its file away.
    case died(pid: Int32)
    /// The pid belongs to a process that is younger than the file.
    case otherProcess(pid: Int32)
    /// The process runs, and is not what writes such a file: its number is one of another pid namespace, as inside a container. What it is, for
    /// a person.
    case strange(pid: Int32, what: String)
    /// The pid is in use, and /proc does not show by whom.
    case hidden(pid: Int32)
    case missing
    case unreadable(String)
    /// The agent cannot look at it; why, as errno has it.
    case forbidden(Int32)
    /// The agent's own view of the file system does not hold it; why, for a person.
    case outOfReach(String)

    /// - Parameter window: a file that is younger than its process by more may have been written by another one.
    init(at path: String, proc: ProcFileSystem, now: Moment, clockTicks: UInt64, window: Duration = .seconds(60)) {
        // A pipe in its place must not make the agent wait.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            self =
                switch errno {
                case ENOENT, ENOTDIR: .missing
                case ELOOP, ENAMETOOLONG, ENXIO: .unreadable(String(cString: strerror(errno)))
                default: .forbidden(errno)
                }
            return
        }
        defer { close(descriptor) }
        var status = Glibc.stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, let text = readBeginning(of: descriptor, limit: 64) else {
            self = .unreadable("is not a file")
            return
        }
        guard let pid = pidNumber(parsing: text) else {
            self = .unreadable("does not begin with a process id")
            return
        }
        // Everything on the machine descends from it: no service is all of that.
        guard pid != 1 else {
            self = .strange(pid: pid, what: "which starts all others")
            return
        }
        guard let stat = proc.stat(of: pid) ?? proc.stat(of: pid) else {
            // Mounted with hidepid, /proc shows only processes that one may trace; the kernel still says that a pid is in use.
            self = proc.isOfKernel && (kill(pid, 0) == 0 || errno == EPERM) ? .hidden(pid: pid) : .died(pid: pid)
            return
        }
        guard !stat.hasEnded else {
            self = .died(pid: pid)
            return
        }
        let written = Timestamp(microseconds: Int64(status.st_mtim.tv_sec) * 1_000_000 + Int64(status.st_mtim.tv_nsec) / 1000)
        let started = now.wall - (now.uptime - .seconds(Double(stat.startTicks) / Double(clockTicks)))
        // The kernel counts in hundredths of a second, and the wall clock may have been set a little since.
        if started > written + .seconds(2) {
            self = .otherProcess(pid: pid)
        } else if proc.isKernelThread(stat) {
            self = .strange(pid: pid, what: "which is a part of the kernel (\(stat.command))")
        } else if written > started + window,
            let twin = PidTwin.find(pid, in: proc, startedWithin: window, before: written, now: now, clockTicks: clockTicks)
        {
            self = .strange(pid: pid, what: "and so is process \(twin) called in its container, which was started when the file was written")
        } else {
            self = .runs(ProcessIdentity(pid: pid, startTicks: stat.startTicks))
        }
    }
}

extension PidFile {
    /// What is said of a number that means another process than this machine's of that number.
    static func whyStrange(_ path: String, _ pid: Int32, _ what: String) -> String {
        "the pid file \(path) names process \(pid), \(what): its number is probably that of another pid namespace, as inside a container; name a file with the pid that this host knows, or check the container's unit instead"
    }
}

/// What is said of one that runs and cannot be looked at.
func hiddenProcess(_ pid: Int32) -> String { "process \(pid), which /proc hides from the agent (hidepid)" }

extension PidFile {
    /// Why nothing is known of the service of a pid file that cannot be looked at, and what would help.
    static func whyForbidden(_ path: String, _ code: Int32) -> String {
        let words = "the pid file \(path) cannot be read: \(String(cString: strerror(code)))"
        guard code == EACCES || code == EPERM else { return words }
        return "\(words); let the group \(ownGroup) read it and enter its folder, or give the agent CAP_DAC_READ_SEARCH"
    }
}

/// What tells that a file has been written or replaced.
struct FileVersion: Equatable, Sendable {
    private var device: UInt64
    private var inode: UInt64
    private var size: Int64
    private var seconds: Int
    private var nanoseconds: Int

    /// `nil` when it cannot be seen.
    init?(of path: String) {
        var status = Glibc.stat()
        guard stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        (seconds, nanoseconds) = (Int(status.st_mtim.tv_sec), Int(status.st_mtim.tv_nsec))
    }
}

/// The first word, if it can be the pid of a process that anybody watches.
func pidNumber(parsing text: some Collection<UInt8>) -> Int32? {
    guard let number = Fields(Array(text)[...]).number(at: 0), number > 0, number <= Int32.max else { return nil }
    return Int32(number)
}
