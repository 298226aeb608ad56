// The folder of a new release, by what it is.

import Glibc

/// A folder that a release lies in.
public struct ReleaseFolder: Equatable, Sendable {
    public var path: String
    public var mark: FolderMark
    /// The folder above, where the other releases are.
    public var parent: FolderMark?

    public init(path: String, mark: FolderMark, parent: FolderMark?) {
        self.path = path
        self.mark = mark
        self.parent = parent
    }

    /// Looks for it; `nil` when there is no such folder, or it may not be seen.
    public init?(_ path: String) {
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK)
        guard folder >= 0 else { return nil }
        defer { close(folder) }
        var (own, above) = (stat(), stat())
        guard fstat(folder, &own) == 0 else { return nil }
        let parent = fstatat(folder, "..", &above, 0) == 0 ? FolderMark(device: UInt64(above.st_dev), inode: UInt64(above.st_ino)) : nil
        self.init(path: path, mark: FolderMark(device: UInt64(own.st_dev), inode: UInt64(own.st_ino)), parent: parent)
    }
}
