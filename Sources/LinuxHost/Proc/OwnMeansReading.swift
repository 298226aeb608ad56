// What the agent's own process may do, as the kernel tells it.

public import AgentCore
import Glibc
import Platform

extension OwnMeans {
    /// Of this process.
    public static func ofThisProcess() -> OwnMeans { OwnMeans(ProcFileSystem(root: "/")) }

    init(_ proc: ProcFileSystem) {
        let status = readFile(proc.path("self/status"), limit: 1 << 16).map { String(decoding: $0, as: UTF8.self) } ?? ""
        func fields(_ name: String) -> [Substring] {
            status.split(separator: "\n").first { $0.hasPrefix("\(name):") }?.dropFirst(name.utf8.count + 1).split { $0 == " " || $0 == "\t" } ?? []
        }
        // Real, effective, saved, of the file system.
        let user = fields("Uid").dropFirst().first.flatMap { UInt32($0) } ?? geteuid()
        let group = fields("Gid").dropFirst().first.flatMap { UInt32($0) } ?? getegid()
        let lowest = readFile(proc.path("sys/net/ipv4/ip_unprivileged_port_start"), limit: 64).flatMap { $0.span.firstNumber() }
        let sharesUsers = sharesTheHostsUsers(proc)
        self.init(
            user: user, userName: accountName(of: user) ?? "uid \(user)", groups: Set(fields("Groups").compactMap { UInt32($0) } + [group]),
            capabilities: sharesUsers ? fields("CapEff").first.flatMap { UInt64($0, radix: 16) } ?? 0 : 0, hasOwnUserNamespace: !sharesUsers,
            hasNoNewPrivileges: fields("NoNewPrivs").first == "1",
            writability: ownAnswers(readFile(proc.path("self/mountinfo"), limit: 1 << 20).map { mounts(parsing: $0.span) } ?? [:]),
            lowestPort: lowest.flatMap { Int(exactly: $0) } ?? 1024)
    }
}

/// Whether this process shares the user namespace of the host's PID 1. In another one (`PrivateUsers=`) capabilities hold for what is in it
/// alone. Of PID 1 only a process with capabilities that hold for it may know the name space; in the first of all, all users are there.
private func sharesTheHostsUsers(_ proc: ProcFileSystem) -> Bool {
    let own = linkTarget(proc.path("self/ns/user"))
    if let hosts = linkTarget(proc.path("1/ns/user")) { return own == hosts }
    let users = readFile(proc.path("self/uid_map"), limit: 4096).map { String(decoding: $0, as: UTF8.self) } ?? ""
    return users.isEmpty || users.split(whereSeparator: \.isWhitespace) == ["0", "0", "4294967295"]
}

/// More are no sandbox's.
private let mostMounts = 1000

/// The mounts that differ from the one above them.
private func ownAnswers(_ mounts: [String: Mount]) -> [String: Bool] {
    var answers: [String: Bool] = [:]
    for (point, mount) in mounts.sorted(by: { $0.key < $1.key }).prefix(mostMounts) {
        let above = point == "/" ? nil : HostPaths.mountPoint(above: folder(of: point), in: mounts).flatMap { mounts[$0] }
        if above?.isReadOnly != mount.isReadOnly { answers[point] = !mount.isReadOnly }
    }
    return answers
}

private func accountName(of user: UInt32) -> String? {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var room = [CChar](repeating: 0, count: 16 << 10)
    guard getpwuid_r(user, &entry, &room, room.count, &found) == 0, found != nil, let name = entry.pw_name else { return nil }
    return String(cString: name)
}
