// Whether a package manager is at work, which stops services for the time of their upgrade.

import Glibc

/// The package managers that lock a file while they change the host.
public enum PackageManagers {
    /// dpkg(1) and apt(8), rpm(8).
    private static let locks = ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/rpm/.rpm.lock"]

    /// Whether one of them holds its lock now.
    public static func areAtWork() -> Bool { locks.contains { isLocked($0) ?? isListedAsLocked($0) } }

    /// Asks the kernel whether another process holds a lock on the file (fcntl(2), F_GETLK).
    /// - Returns: `nil` when the file may not be opened.
    static func isLocked(_ path: String) -> Bool? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard file >= 0 else { return errno == EACCES || errno == EPERM ? nil : false }
        defer { close(file) }
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        guard fcntl(file, F_GETLK, &lock) == 0 else { return nil }
        return lock.l_type != Int16(F_UNLCK)
    }

    /// The same from /proc/locks, which everybody may read and which has the locked files' inode numbers.
    private static func isListedAsLocked(_ path: String) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0, let bytes = readFile("/proc/locks", limit: 1 << 20) else { return false }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains { line in
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            return words.count >= 6 && words[1] == "POSIX" && words[5].split(separator: ":").last.flatMap { UInt64($0) } == UInt64(status.st_ino)
        }
    }
}
