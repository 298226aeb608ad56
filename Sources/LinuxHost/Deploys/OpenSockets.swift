// Which sockets a process has open.

import Glibc

/// No process that matters has more.
private let mostDescriptors = 65536

/// Calls `body` with the number and the socket's inode of each descriptor that is a socket, until it answers `false`.
/// - Parameter folder: `/proc/PID/fd`.
/// - Returns: `false` when it may not be read.
@discardableResult
func forEachSocket(in folder: String, _ body: (_ descriptor: Int32, _ inode: UInt64) -> Bool) -> Bool {
    guard let entries = opendir(folder) else { return false }
    defer { closedir(entries) }
    var left = mostDescriptors
    while left > 0, let entry = readdir(entries) {
        left -= 1
        let goesOn = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
            let name = bytes.bindMemory(to: CChar.self)
            guard let base = name.baseAddress, let inode = socketInode(base, in: dirfd(entries)) else { return true }
            return body(Int32(clamping: strtol(base, nil, 10)), inode)
        }
        guard goesOn else { break }
    }
    return true
}

/// The inode of the socket that a link in `/proc/PID/fd` leads to.
func socketInode(_ path: String) -> UInt64? { socketInode(path, in: AT_FDCWD) }

private func socketInode(_ path: UnsafePointer<CChar>, in folder: Int32) -> UInt64? {
    // `socket:[1234]`
    withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
        guard let base = buffer.baseAddress else { return nil }
        let count = readlinkat(folder, path, base.assumingMemoryBound(to: CChar.self), buffer.count)
        let prefix: StaticString = "socket:["
        guard count > prefix.utf8CodeUnitCount + 1, count < buffer.count, buffer[count - 1] == UInt8(ascii: "]"),
            memcmp(base, prefix.utf8Start, prefix.utf8CodeUnitCount) == 0
        else { return nil }
        return decimal(buffer[prefix.utf8CodeUnitCount..<(count - 1)])
    }
}
