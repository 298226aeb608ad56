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
}

/// A release that a deploy names, as it was found on this host.
public enum NamedRelease: Equatable, Sendable {
    case seen(ReleaseFolder)
    /// Why it could not be seen, for a person. Nobody can tell then whether a process stands in it.
    case unseen(String)

    /// Looks for it.
    public init(lookingAt path: String) {
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK)
        guard folder >= 0 else {
            self =
                switch errno {
                case ENOENT: .unseen("there is no folder \(path) on this host")
                case ENOTDIR: .unseen("\(path) is no folder")
                case EACCES, EPERM: .unseen("the folder \(path) may not be seen by the agent")
                case let code: .unseen("the folder \(path) cannot be opened: \(String(cString: strerror(code)))")
                }
            return
        }
        defer { close(folder) }
        var (own, above) = (stat(), stat())
        guard fstat(folder, &own) == 0 else {
            self = .unseen("the folder \(path) cannot be examined: \(String(cString: strerror(errno)))")
            return
        }
        let parent = fstatat(folder, "..", &above, 0) == 0 ? FolderMark(device: UInt64(above.st_dev), inode: UInt64(above.st_ino)) : nil
        self = .seen(ReleaseFolder(path: path, mark: FolderMark(device: UInt64(own.st_dev), inode: UInt64(own.st_ino)), parent: parent))
    }

    public var folder: ReleaseFolder? { if case .seen(let folder) = self { folder } else { nil } }
    /// Why it was not seen.
    public var problem: String? { if case .unseen(let why) = self { why } else { nil } }
}
