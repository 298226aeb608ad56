// Reading /proc.

import Glibc

/// The proc file system below a root, which tests replace by a captured one.
struct ProcFileSystem: Sendable {
    /// Ends with a slash.
    let root: String

    init(root: String) { self.root = root.hasSuffix("/") ? root : root + "/" }

    func path(_ name: String) -> String { "\(root)proc/\(name)" }
    func path(of pid: Int32, _ name: String) -> String { "\(root)proc/\(pid)/\(name)" }

    func stat(of pid: Int32) -> ProcessStat? { readFile(path(of: pid, "stat"), limit: 4096).flatMap { ProcessStat(parsing: $0) } }
    func residentPages(of pid: Int32) -> UInt64? {
        readFile(path(of: pid, "statm"), limit: 256).flatMap { LinuxHost.residentPages(parsing: $0) }
    }

    /// Everything that has a number as its name.
    func processes() -> [Int32] {
        guard let folder = opendir(root + "proc") else { return [] }
        defer { closedir(folder) }
        var pids: [Int32] = []
        while let entry = readdir(folder) {
            if let pid = decimal(nameBytes(of: entry)) { pids.append(Int32(clamping: pid)) }
        }
        return pids
    }
}

/// The beginning of a file, up to `limit` bytes; `nil` when it cannot be read.
func readFile(_ path: String, limit: Int) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return readBeginning(of: descriptor, limit: limit)
}

func readBeginning(of descriptor: Int32, limit: Int) -> [UInt8]? {
    var count = -1
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, used in
        var filled = 0
        // The kernel gives long lists in pieces.
        repeat {
            count = pread(descriptor, buffer.baseAddress?.advanced(by: filled), limit - filled, off_t(filled))
            if count > 0 { filled += count }
        } while count > 0 && filled < limit
        used = filled
    }
    return count < 0 ? nil : bytes
}

/// The name of a folder's entry, without its end.
func nameBytes(of entry: UnsafeMutablePointer<dirent>) -> [UInt8] {
    withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
}
