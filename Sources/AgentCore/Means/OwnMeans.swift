// What the agent's process may do on its host.

import Glibc
public import Platform

/// The agent's own rights and bounds, as the kernel tells a process of itself: whatever has set them.
public struct OwnMeans: Equatable, Sendable {
    /// As capabilities(7) numbers them.
    public enum Capability: UInt64, Sendable {
        case chown = 0
        case dacReadSearch = 2
        case netBindService = 10
        case sysPtrace = 19

        /// `CAP_SYS_PTRACE`
        var name: String {
            switch self {
            case .chown: "CAP_CHOWN"
            case .dacReadSearch: "CAP_DAC_READ_SEARCH"
            case .netBindService: "CAP_NET_BIND_SERVICE"
            case .sysPtrace: "CAP_SYS_PTRACE"
            }
        }
    }

    public var user: UInt32
    public var userName: String
    /// All that it is in.
    public var groups: Set<UInt32>
    /// A bit for each that is in effect on the host.
    public var capabilities: UInt64
    /// It runs in a separate user namespace, where capabilities hold for its own processes alone.
    public var hasOwnUserNamespace: Bool
    /// No program that it starts can become more than it is: sudo fails.
    public var hasNoNewPrivileges: Bool
    /// Whether it may write, by mount point, where that is another answer than that of the mount above. Permissions of files come on top.
    public var writability: [String: Bool]
    /// Below it, listening on a port is for the privileged.
    public var lowestPort: Int

    public init(
        user: UInt32, userName: String, groups: Set<UInt32>, capabilities: UInt64, hasOwnUserNamespace: Bool = false, hasNoNewPrivileges: Bool,
        writability: [String: Bool], lowestPort: Int = 1024
    ) {
        self.user = user
        self.userName = userName
        self.groups = groups
        self.capabilities = capabilities
        self.hasOwnUserNamespace = hasOwnUserNamespace
        self.hasNoNewPrivileges = hasNoNewPrivileges
        self.writability = writability
        self.lowestPort = lowestPort
    }

    /// Under the unit that is installed, for whoever cannot ask a running agent; `nil` on a host without the agent's user.
    public static func ofInstalledUnit() -> OwnMeans? {
        let name = "rollcall-agent"
        guard let account = getpwnam(name)?.pointee else { return nil }
        var groups = [gid_t](repeating: 0, count: 1024)
        var count = Int32(groups.count)
        guard getgrouplist(name, account.pw_gid, &groups, &count) >= 0 else { return nil }
        // What the unit adds.
        let journal = getgrnam("systemd-journal")?.pointee.gr_gid
        return OwnMeans(
            user: account.pw_uid, userName: name, groups: Set(groups.prefix(Int(count)) + [journal].compactMap { $0 }),
            capabilities: [Capability.dacReadSearch, .sysPtrace].reduce(0) { $0 | 1 << $1.rawValue }, hasNoNewPrivileges: true,
            writability: ["/": false, "/var/lib/rollcall-agent": true, "/run/rollcall-agent": true])
    }

    public func has(_ capability: Capability) -> Bool { capabilities & (1 << capability.rawValue) != 0 }

    var isRoot: Bool { user == 0 }

    /// Whether its sandbox lets it write there at all.
    func mayWrite(below path: String) -> Bool {
        var point = path
        while true {
            if let answer = writability[point] { return answer }
            guard point != "/", let slash = point.lastIndex(of: "/") else { return true }
            point = slash == point.startIndex ? "/" : String(point[..<slash])
        }
    }

    /// Where it may write although it may not write to /.
    var writablePlaces: [String] { writability.filter(\.value).keys.sorted() }

    /// Whether a process with this user and these groups, and no capability, may write to a file.
    func mayWrite(to file: FileAccess) -> Bool {
        if isRoot { return true }
        if file.user == user { return file.mode & 0o200 != 0 }
        return file.mode & (groups.contains(file.group) ? 0o020 : 0o002) != 0
    }
}

/// Whose a file is, and who may do what with it.
struct FileAccess: Equatable {
    var user: UInt32
    var group: UInt32
    var mode: UInt32
}

// MARK: JSON

extension OwnMeans {
    public var json: JSON {
        [
            "user": .integer(Int64(user)), "user_name": .string(userName), "groups": .array(groups.sorted().map { .integer(Int64($0)) }),
            "capabilities": .string(String(capabilities, radix: 16)), "own_user_namespace": .bool(hasOwnUserNamespace),
            "no_new_privileges": .bool(hasNoNewPrivileges),
            "writable": .object(writability.sorted { $0.key < $1.key }.map { .init($0.key, .bool($0.value)) }),
            "lowest_port": .integer(Int64(lowestPort)),
        ]
    }

    /// `nil` for what no agent says.
    public init?(_ json: JSON) {
        func number(_ value: JSON?) -> UInt32? { value?.integer.flatMap { UInt32(exactly: $0) } }
        guard let user = number(json["user"]), let name = json["user_name"]?.string, let groups = json["groups"]?.array,
            let capabilities = json["capabilities"]?.string.flatMap({ UInt64($0, radix: 16) }), let isBound = json["no_new_privileges"]?.bool,
            let writable = json["writable"]?.members, let port = json["lowest_port"]?.integer
        else { return nil }
        self.init(
            user: user, userName: name, groups: Set(groups.compactMap { number($0) }), capabilities: capabilities,
            hasOwnUserNamespace: json["own_user_namespace"]?.bool ?? false, hasNoNewPrivileges: isBound,
            writability: Dictionary(writable.compactMap { member in member.value.bool.map { (member.name, $0) } }, uniquingKeysWith: { $1 }),
            lowestPort: Int(port))
    }

    /// For a person.
    public var text: String {
        let held = [Capability.chown, .dacReadSearch, .netBindService, .sysPtrace].filter(has).map(\.name)
        let place = hasOwnUserNamespace ? ", in a separate user namespace" : ""
        return "the agent runs as \(userName), with \(held.isEmpty ? "no capability" : held.joined(separator: " "))\(place)\n"
    }
}
