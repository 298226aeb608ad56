// The folder of a new release, by what it is.

import Glibc

/// A folder that a release lies in.
public struct ReleaseFolder: Equatable, Sendable {
    public var path: String
    public var mark: FolderMark
    /// The folder above, where the other releases are.
    public var parent: FolderMark?
    /// Its path without symbolic links.
    public var realPath: String
    /// The symbolic links near it that lead to it or to its neighbours, as `current` does.
    public var links: [ReleaseLink]

    public init(path: String, mark: FolderMark, parent: FolderMark?, realPath: String? = nil, links: [ReleaseLink] = []) {
        self.path = path
        self.mark = mark
        self.parent = parent
        self.realPath = realPath ?? path
        self.links = links
    }

    /// The link that leads to another release while none leads to this one: it has not been switched.
    var linkElsewhere: ReleaseLink? { links.contains { $0.target == mark } ? nil : links.first }

    /// Which earlier or other release a path lies in: its folder. `nil` where it lies in none, or in this one.
    /// - Parameter isKnown: whether a neighbour of the release is one by what was seen of it.
    func otherRelease(of path: String, isKnown: (String) -> Bool) -> String? {
        for root in Set([self.path, realPath]) {
            guard let slash = root.lastIndex(of: "/"), slash > root.startIndex else { continue }
            let above = root[...slash]
            guard path.hasPrefix(above), path != root, !path.hasPrefix(root + "/") else { continue }
            let name = path.dropFirst(above.count).prefix { $0 != "/" }
            let folder = String(above + name)
            if isKnown(folder) || isLike(String(name), String(root[root.index(after: slash)...])) { return folder }
        }
        return nil
    }

    /// Whether a name is formed as those of releases are: `20260101000001`, `v1.4.12`, a commit's hash.
    private func isLike(_ name: String, _ own: String) -> Bool {
        func isHash(_ text: String) -> Bool { text.utf8.count >= 7 && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) } }
        func form(_ text: String) -> String {
            var form = ""
            for byte in text.utf8 {
                let character = (48...57).contains(byte) ? "0" : String(UnicodeScalar(byte))
                if character != "0" || form.last != "0" { form += character }
            }
            return form
        }
        return (isHash(name) && isHash(own)) || (own.utf8.contains { (48...57).contains($0) } && form(name) == form(own))
    }
}

/// A symbolic link to a release.
public struct ReleaseLink: Equatable, Sendable {
    public var path: String
    public var target: FolderMark

    public init(path: String, target: FolderMark) {
        self.path = path
        self.target = target
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
        let parent = fstatat(folder, "..", &above, 0) == 0 ? FolderMark(above) : nil
        var real: String?
        if let name = realpath(path, nil) {
            real = String(cString: name)
            free(name)
        }
        let links = parent.map { Self.links(to: $0, from: folder, real ?? path) } ?? []
        self = .seen(ReleaseFolder(path: path, mark: FolderMark(own), parent: parent, realPath: real, links: links))
    }

    /// Looks beside the releases, and in the folder that theirs lies in.
    private static func links(to parent: FolderMark, from folder: Int32, _ path: String) -> [ReleaseLink] {
        var links: [ReleaseLink] = []
        var place = path
        for above in ["..", "../.."] {
            place = String(place[..<(place.lastIndex(of: "/") ?? place.startIndex)])
            let descriptor = openat(folder, above, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            guard let entries = fdopendir(descriptor) else {
                close(descriptor)
                continue
            }
            defer { closedir(entries) }
            var left = 1000
            while left > 0, links.count < 32, let entry = readdir(entries) {
                left -= 1
                guard entry.pointee.d_type == UInt8(DT_LNK) else { continue }
                let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
                var (target, itsParent) = (stat(), stat())
                guard fstatat(descriptor, name, &target, 0) == 0, target.st_mode & S_IFMT == S_IFDIR,
                    fstatat(descriptor, name + "/..", &itsParent, 0) == 0, FolderMark(itsParent) == parent
                else { continue }
                links.append(ReleaseLink(path: "\(place)/\(name)", target: FolderMark(target)))
            }
        }
        return links.sorted { $0.path < $1.path }
    }

    public var folder: ReleaseFolder? { if case .seen(let folder) = self { folder } else { nil } }
    /// Why it was not seen.
    public var problem: String? { if case .unseen(let why) = self { why } else { nil } }
}

extension FolderMark {
    fileprivate init(_ status: stat) { self.init(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)) }
}
