// Which control group hierarchies a host has, and where.

import Glibc

/// How systemd lays out /sys/fs/cgroup.
enum CgroupLayout: Equatable, Sendable {
    /// Version 2 alone.
    case unified
    /// Version 1 controllers, and a version 2 beside them at `unified`, most often without any.
    case hybrid
    /// Version 1 alone.
    case legacy

    /// `nil` where nothing is mounted that we know.
    /// - Parameter folder: where the hierarchies are mounted, `/sys/fs/cgroup`.
    init?(at folder: String) {
        // Only the root of a version 2 hierarchy, and every group of it, has this file.
        if access(folder + "/cgroup.controllers", F_OK) == 0 {
            self = .unified
        } else if access(folder + "/unified/cgroup.controllers", F_OK) == 0 {
            self = .hybrid
        } else if access(folder + "/systemd", F_OK) == 0 {
            self = .legacy
        } else {
            return nil
        }
    }
}

/// Where each controller's files are.
struct CgroupHierarchies: Equatable, Sendable {
    /// The folder of a hierarchy's root.
    enum Controller: Equatable, Sendable {
        case first(String)
        case second(String)
    }

    let layout: CgroupLayout
    /// The hierarchy in which systemd keeps the processes.
    let main: String
    let processor: Controller
    /// `cpuacct` of version 1, which may be mounted apart from `cpu`.
    let accounting: Controller
    let memory: Controller
    let tasks: Controller
    let transfer: Controller

    init?(at top: String) {
        guard let layout = CgroupLayout(at: top) else { return nil }
        self.layout = layout
        let main =
            switch layout {
            case .unified: top
            case .hybrid: top + "/unified"
            case .legacy: top + "/systemd"
            }
        self.main = main
        func find(_ names: String...) -> Controller {
            if layout == .unified { return .second(main) }
            for name in names where access("\(top)/\(name)", F_OK) == 0 { return .first("\(top)/\(name)") }
            // A controller that is not mounted as version 1 may be in the other hierarchy.
            return layout == .hybrid ? .second(main) : .first("\(top)/\(names[0])")
        }
        processor = find("cpu", "cpu,cpuacct")
        accounting = find("cpuacct", "cpu,cpuacct")
        memory = find("memory")
        tasks = find("pids")
        transfer = find("blkio")
    }

    /// What systemd writes as a unit's group, if it is one: it never leads out of the hierarchy.
    static func isGroup(_ group: String) -> Bool { group.hasPrefix("/") && !group.split(separator: "/").contains("..") }
}
