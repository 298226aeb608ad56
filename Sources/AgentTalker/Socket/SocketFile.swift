// A Unix socket's file: where it is made, who may open it, and what was left there.

import Glibc
import Platform

/// A socket of the agent in the file system. Whoever may open it may ask anything, also what changes something: its mode is the
/// permission. It is 0660 for a group that the configuration names, else 0600.
struct SocketFile {
    let settings: TalkerConfiguration.Socket
    /// The socket's file as it was made: what another process has put in its place is not removed.
    private var made: FileIdentity?

    init(_ settings: TalkerConfiguration.Socket) { self.settings = settings }

    /// Makes its folder and removes what an agent that was killed has left.
    func prepare() throws(TalkerError) {
        try prepareFolder(of: settings.path)
        try removeStaleSocket(settings.path)
    }

    /// It was just bound: whatever the umask left, writing is for the owner until it is given.
    mutating func give() throws(TalkerError) {
        made = FileIdentity(settings.path)
        var mode: mode_t = 0o600
        if let name = settings.group {
            guard let group = groupID(name), chown(settings.path, uid_t.max, group) == 0 else {
                remove()
                throw TalkerError(
                    part: "the agent's socket", problem: "it cannot be given to the group \(name): does it exist, and is the agent's user in it?")
            }
            mode = 0o660
        }
        chmod(settings.path, mode)
    }

    mutating func remove() {
        if let made, FileIdentity(settings.path) == made { unlink(settings.path) }
        made = nil
    }
}

/// Which file stands at a path.
private struct FileIdentity: Equatable {
    var device: UInt
    var inode: UInt

    init?(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        (device, inode) = (UInt(status.st_dev), UInt(status.st_ino))
    }
}

/// In a folder that others can write to they could put a socket of theirs in the place of ours.
private func prepareFolder(of path: String) throws(TalkerError) {
    func fault(_ problem: String) -> TalkerError { TalkerError(part: "the agent's socket", problem: problem) }
    let folder = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    guard path.hasPrefix("/"), !folder.isEmpty else { throw fault("its path is not absolute, or its folder is /") }
    if mkdir(folder, 0o755) == 0 { chmod(folder, 0o755) }
    var status = stat()
    guard lstat(folder, &status) == 0 else { throw fault("its folder \(folder) cannot be made: \(String(cString: strerror(errno)))") }
    guard status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(), status.st_mode & 0o022 == 0 else {
        throw fault("its folder \(folder) must belong to the agent's user and be writable for nobody else")
    }
}

/// A socket on which nobody answers was left by an agent that was killed.
private func removeStaleSocket(_ path: String) throws(TalkerError) {
    func fault(_ problem: String) -> TalkerError { TalkerError(part: "the agent's socket", problem: problem) }
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else { throw fault("there is something at its path that is no socket") }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { throw fault("its path is too long") }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard probe >= 0 else { throw fault("no descriptor is left: \(String(cString: strerror(errno)))") }
    defer { close(probe) }
    let result = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(probe, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    guard result != 0, errno == ECONNREFUSED else { throw fault("another agent answers on it") }
    guard unlink(path) == 0 || errno == ENOENT else { throw fault("the old one cannot be removed: \(String(cString: strerror(errno)))") }
}

private func groupID(_ name: String) -> gid_t? {
    var entry = group()
    var found: UnsafeMutablePointer<group>?
    var room = [CChar](repeating: 0, count: 64 << 10)
    guard getgrnam_r(name, &entry, &room, room.count, &found) == 0, found != nil else { return nil }
    return entry.gr_gid
}
