// The file that carries the token into a release.

import Glibc
public import Platform

public enum TokenFile {
    /// As applications know it.
    public static let name = "TOKEN"

    /// Writes the token, without a newline, to `TOKEN` in a release's folder: whole or not at all, readable by all, and owned as the
    /// folder is, so that a deploy by root leaves nothing behind that the application's user cannot replace.
    ///
    /// The folder may belong to somebody who means harm to the one who runs this: every step goes through the folder's own descriptor,
    /// and nothing that stands there is followed or opened.
    public static func write(_ token: DeployToken, release path: String) throws(FileError) {
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else {
            throw FileError(path: path, problem: errno == ENOTDIR ? "is not a folder" : "cannot be opened: \(reason())")
        }
        defer { close(folder) }
        var owner = stat()
        guard fstat(folder, &owner) == 0 else { throw FileError(path: path, problem: "cannot be examined: \(reason())") }
        let target = path.hasSuffix("/") ? path + name : "\(path)/\(name)"
        try refuseStrangeFile(in: folder, target)
        let temporary = ".\(name).\(randomHex(bytes: 8))"
        do throws(FileError) {
            try create(temporary, in: folder, token, like: owner, target)
            guard renameat(folder, temporary, folder, name) == 0 else { throw failure(target) }
        } catch {
            unlinkat(folder, temporary, 0)
            throw error
        }
        fsync(folder)
    }

    /// The token that is in a release's folder; `nil` when there is none, or something else than a small plain file has its name.
    public static func read(release path: String) -> DeployToken? {
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return nil }
        defer { close(folder) }
        let file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var status = stat()
        var bytes = [UInt8](repeating: 0, count: 256)
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1 else { return nil }
        let count = Glibc.read(file, &bytes, bytes.count)
        guard count > 0, count < bytes.count else { return nil }
        var text = bytes[..<count]
        if text.last == 10 { text.removeLast() }
        return try? DeployToken(parsing: String(decoding: text, as: UTF8.self))
    }

    /// Why no token can be written into a release's folder, as far as can be told without writing.
    public static func problem(release path: String) -> FileError? {
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else {
            return FileError(path: path, problem: errno == ENOTDIR ? "is not a folder" : "cannot be opened: \(reason())")
        }
        defer { close(folder) }
        do throws(FileError) {
            try refuseStrangeFile(in: folder, path.hasSuffix("/") ? path + name : "\(path)/\(name)")
            return nil
        } catch {
            return error
        }
    }

    /// A plain file is an earlier token and is replaced. Anything else was put there by somebody for something.
    private static func refuseStrangeFile(in folder: Int32, _ target: String) throws(FileError) {
        var existing = stat()
        guard fstatat(folder, name, &existing, AT_SYMLINK_NOFOLLOW) == 0 else {
            if errno == ENOENT { return }
            throw FileError(path: target, problem: "cannot be examined: \(reason())")
        }
        switch existing.st_mode & S_IFMT {
        case S_IFREG: return
        case S_IFLNK: throw FileError(path: target, problem: "is a symbolic link; remove it: the token must be in the release itself")
        case S_IFDIR: throw FileError(path: target, problem: "is a folder; the token's file needs its name")
        default: throw FileError(path: target, problem: "is not a plain file; remove it")
        }
    }

    private static func create(_ temporary: String, in folder: Int32, _ token: DeployToken, like owner: stat, _ target: String) throws(FileError) {
        let file = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure(target) }
        defer { close(file) }
        let bytes = Array(token.text.utf8)
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else { throw failure(target) }
        // Who is not root can give a file away to nobody, and needs not: it stays readable by all.
        if fchown(file, owner.st_uid, owner.st_gid) != 0, errno != EPERM { throw failure(target) }
        guard fchmod(file, 0o644) == 0, fsync(file) == 0 else { throw failure(target) }
    }

    private static func failure(_ target: String) -> FileError { FileError(path: target, problem: "cannot be written: \(reason())") }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
