// Files that are there whole or not at all.

import Glibc

/// A file that could not be read or written: which, what failed, and what would help.
public struct FileError: Error, Equatable, CustomStringConvertible, Sendable {
    public var path: String
    public var problem: String

    public init(path: String, problem: String) {
        self.path = path
        self.problem = problem
    }

    public var description: String { "\(path) \(problem)" }
}

public enum AtomicFile {
    /// Writes `bytes` to `path` so that a reader sees the old file or the new one, and a crash leaves one of them: a temporary
    /// neighbour, fsync, rename, fsync of the folder.
    /// - Parameter mode: permission bits of the new file, whatever the umask.
    public static func write(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o644) throws(FileError) {
        var suffix = UInt64(0)
        withUnsafeMutableBytes(of: &suffix) { fillRandom($0) }
        let temporary = "\(path).tmp.\(String(suffix, radix: 16))"
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard file >= 0 else { throw FileError(path: path, problem: "cannot be written: \(reason())") }
        var problem: String?
        if fchmod(file, mode) != 0 { problem = reason() }
        if problem == nil, !writeAll(bytes, to: file) { problem = reason() }
        if problem == nil, fsync(file) != 0 { problem = reason() }
        if close(file) != 0, problem == nil { problem = reason() }
        if problem == nil, rename(temporary, path) != 0 { problem = reason() }
        if let problem {
            unlink(temporary)
            throw FileError(path: path, problem: "cannot be written: \(problem)")
        }
        let folder = open(parent(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return }
        fsync(folder)
        close(folder)
    }

    /// The whole content of a file.
    /// - Parameter limit: a larger file is an error: everything that comes from outside has a bound.
    public static func read(_ path: String, limit: Int = 1 << 20) throws(FileError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw FileError(path: path, problem: "cannot be read: \(reason())") }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileError(path: path, problem: "cannot be read: \(reason())") }
            if count == 0 { return bytes }
            guard bytes.count + count <= limit else { throw FileError(path: path, problem: "is larger than \(limit) bytes") }
            bytes += chunk[0..<count]
        }
    }
}

/// Writes everything, however many calls it takes; false with errno set when that fails.
func writeAll(_ bytes: [UInt8], to file: Int32) -> Bool {
    var written = 0
    while written < bytes.count {
        let count = bytes.withUnsafeBytes { write(file, $0.baseAddress! + written, bytes.count - written) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        written += count
    }
    return true
}

private func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

private func reason() -> String { String(cString: strerror(errno)) }
