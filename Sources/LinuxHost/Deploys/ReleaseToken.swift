// The TOKEN file of the release that a process stands in, read as from a stranger.

import Glibc
import Platform

/// What was found in the working directory of a process.
enum ReleaseToken: Equatable {
    /// A token, and when its file was last changed.
    case token(String, changed: Timestamp)
    /// No token, and why, for a log.
    case none(why: String)

    static let fileName = "TOKEN"
    private static let sizeLimit = 4096

    /// Reads it. The agent may read more than the process may, and the process chooses the directory: so the file is taken only if
    /// it gives away nothing that the process could not have read, and never if it is not plainly a token.
    init(of pid: Int32, in proc: ProcFileSystem) {
        // The link itself leads into the process's own root and mounts, which a path read from it would not.
        let folder = open(proc.path(of: pid, "cwd"), openPath | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else {
            self = .none(why: "its working directory cannot be opened: \(String(cString: strerror(errno)))")
            return
        }
        defer { close(folder) }
        // No link is followed, nothing is waited for (a FIFO), no terminal taken.
        let file = openat(folder, Self.fileName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        guard file >= 0 else {
            self = .none(why: errno == ELOOP ? "TOKEN is a symbolic link" : "TOKEN cannot be opened: \(String(cString: strerror(errno)))")
            return
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else {
            self = .none(why: "TOKEN cannot be examined: \(String(cString: strerror(errno)))")
            return
        }
        let user = readFile(proc.path(of: pid, "status"), limit: 16384).flatMap { effectiveUser(parsing: $0) }
        if let problem = Self.problem(with: status, user: user) {
            self = .none(why: problem)
            return
        }
        guard let content = readBeginning(of: file, limit: Self.sizeLimit + 1), let token = Self.token(in: content) else {
            self = .none(why: "TOKEN holds something that is not a token")  // and that is not shown, whatever it is
            return
        }
        // Written to while it was read: what it had before is not known.
        var after = stat()
        guard fstat(file, &after) == 0, after.st_ctim.tv_sec == status.st_ctim.tv_sec, after.st_ctim.tv_nsec == status.st_ctim.tv_nsec else {
            self = .none(why: "TOKEN is just being written")
            return
        }
        let changed = Timestamp(microseconds: Int64(status.st_ctim.tv_sec) * 1_000_000 + Int64(status.st_ctim.tv_nsec) / 1000)
        self = .token(token, changed: changed)
    }

    private static func problem(with status: stat, user: uid_t?) -> String? {
        guard status.st_mode & S_IFMT == S_IFREG else { return "TOKEN is not a regular file" }
        guard status.st_size <= sizeLimit else { return "TOKEN is larger than \(sizeLimit) bytes" }
        // A second name could be that of somebody's secret.
        guard status.st_nlink == 1 else { return "TOKEN is a hard link" }
        // Deploys often run as another user than the app: such a file is taken if everybody may read it anyway.
        guard status.st_uid == 0 || status.st_uid == user || status.st_mode & 0o004 != 0 else {
            return "TOKEN belongs to user \(status.st_uid) alone, who is neither root nor the process's user"
        }
        return nil
    }

    /// `^[0-9a-fA-F-]{16,128}\n?$`, without the newline.
    static func token(in content: [UInt8]) -> String? {
        let digits = content.last == 10 ? content.dropLast() : content[...]
        guard (16...128).contains(digits.count) else { return nil }
        guard digits.allSatisfy({ (48...57).contains($0) || (65...70).contains($0) || (97...102).contains($0) || $0 == 45 }) else { return nil }
        return String(decoding: digits, as: UTF8.self)
    }
}

/// Out of /proc/PID/status: the second number behind `Uid:`, as whom the process acts.
func effectiveUser(parsing content: [UInt8]) -> uid_t? {
    for line in content.split(separator: 10) where line.starts(with: "Uid:".utf8) {
        let numbers = line.dropFirst(4).split { $0 == 9 || $0 == 32 }
        return numbers.count >= 2 ? uid_t(String(decoding: numbers[1], as: UTF8.self)) : nil
    }
    return nil
}

/// O_PATH, which Glibc's module leaves out; one value on x86-64 and arm64.
private let openPath: Int32 = 0o10_000_000
