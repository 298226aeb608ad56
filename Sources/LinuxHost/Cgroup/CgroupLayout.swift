// Which control group hierarchies a host has, and where.

import Glibc

/// How systemd lays out /sys/fs/cgroup.
enum CgroupLayout: Equatable, Sendable {
    /// Version 2 alone.
    case unified
    /// Version 1 controllers, and an empty version 2 beside them at `unified`.
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

/// Where to read what about a group, best first.
struct CgroupPaths: Equatable, Sendable {
    /// Of version 2, with microseconds, `nil` without such a hierarchy. It needs no controller.
    var cpuStat: String?
    /// Of version 1: nanoseconds.
    var cpuUsage: [String] = []
    /// Of version 1: `user` and `system` in clock ticks.
    var cpuSplit: [String] = []
    var memory: String
    /// With the pages that can be had back for the asking.
    var memoryStat: String
    var inactiveKey: String
    /// The group itself, where systemd keeps its processes.
    var folder: String

    /// - Parameter group: with a leading slash, as systemd writes it.
    init?(_ group: String, layout: CgroupLayout?, below top: String) {
        guard let layout, group.hasPrefix("/"), !group.split(separator: "/").contains("..") else { return nil }
        switch layout {
        case .unified:
            folder = top + group
            memory = folder + "/memory.current"
            memoryStat = folder + "/memory.stat"
            inactiveKey = "inactive_file"
            cpuStat = folder + "/cpu.stat"
        case .hybrid, .legacy:
            folder = top + (layout == .hybrid ? "/unified" : "/systemd") + group
            memory = "\(top)/memory\(group)/memory.usage_in_bytes"
            memoryStat = "\(top)/memory\(group)/memory.stat"
            inactiveKey = "total_inactive_file"
            cpuStat = layout == .hybrid ? folder + "/cpu.stat" : nil
            cpuUsage = ["\(top)/cpu,cpuacct\(group)/cpuacct.usage", "\(top)/cpuacct\(group)/cpuacct.usage"]
            cpuSplit = ["\(top)/cpu,cpuacct\(group)/cpuacct.stat", "\(top)/cpuacct\(group)/cpuacct.stat"]
        }
    }
}
