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

    /// Threads of the kernel are children of the one that has the number 2.
    func isKernelThread(_ stat: ProcessStat) -> Bool {
        guard stat.pid == 2 || stat.parent == 2 else { return false }
        return (stat.pid == 2 ? stat : self.stat(of: 2))?.command == "kthreadd"
    }

    /// Everything that has a number as its name.
    func processes() -> [Int32] {
        var pids: [Int32] = []
        forEachEntry(of: root + "proc") { name, _ in
            if let pid = decimal(name).flatMap({ Int32(exactly: $0) }) { pids.append(pid) }
        }
        return pids
    }

    /// Whether the kernel stands behind it; a captured one is only files.
    var isOfKernel: Bool {
        var status = Glibc.stat()
        // The number of its root, which no folder within another file system has.
        return lstat(root + "proc", &status) == 0 && status.st_ino == 1
    }
}

/// Calls `body` with the name and the type of each entry of a folder; `false` when it cannot be read.
@discardableResult
func forEachEntry(of folder: String, _ body: (UnsafeBufferPointer<UInt8>, UInt8) -> Void) -> Bool {
    guard let entries = opendir(folder) else { return false }
    defer { closedir(entries) }
    while let entry = readdir(entries) {
        let type = entry.pointee.d_type
        withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
            let name = bytes.bindMemory(to: UInt8.self)
            body(UnsafeBufferPointer(rebasing: name[..<(name.firstIndex(of: 0) ?? name.count)]), type)
        }
    }
    return true
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
