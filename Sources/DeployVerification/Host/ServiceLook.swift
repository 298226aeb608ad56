// What one look at a service's processes shows, from outside.

/// Which exec a process descends from: every exec draws these addresses anew, a fork inherits them. A process that execs itself
/// anew (a hot restart) keeps its pid and its start time; only this changes.
public enum ExecGeneration: Hashable, Sendable {
    /// AT_RANDOM and AT_SYSINFO_EHDR of the auxiliary vector.
    case vector(random: UInt64, sysinfo: UInt64)
    /// Where the program's code starts, when the vector does not tell.
    case code(UInt64)
    /// Neither may be read: there is no exec evidence.
    case unknown
}

/// One process in one incarnation of its program.
public struct ProcessMark: Hashable, Sendable {
    public var pid: Int32
    /// Clock ticks from boot to its start.
    public var startTicks: UInt64
    public var generation: ExecGeneration

    public init(pid: Int32, startTicks: UInt64, generation: ExecGeneration) {
        self.pid = pid
        self.startTicks = startTicks
        self.generation = generation
    }
}

/// A folder by what it is, not by its name.
public struct FolderMark: Hashable, Sendable {
    public var device: UInt64
    public var inode: UInt64

    public init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

/// Something that the service accepts connections on.
public struct ServiceListener: Equatable, Sendable {
    public enum Address: Hashable, Sendable {
        /// An IP address in text, IPv6 without brackets.
        case tcp(address: String, port: UInt16)
        case unix(path: String)
    }

    /// The socket's inode number.
    public var inode: UInt64
    public var address: Address
    /// Connections that wait to be accepted.
    public var queue: Int?
    public var backlog: Int?
    /// Of one on all IPv6 addresses: it takes no connections over IPv4.
    public var isIPv6Only: Bool

    public init(inode: UInt64, address: Address, queue: Int? = nil, backlog: Int? = nil, isIPv6Only: Bool = false) {
        self.inode = inode
        self.address = address
        self.queue = queue
        self.backlog = backlog
        self.isIPv6Only = isIPv6Only
    }
}

/// What a process that holds a listener waits for, as the kernel shows it.
public enum ListenerWait: Equatable, Sendable {
    /// It waits for connections at these listeners, or did when that was last looked for.
    case at(Set<UInt64>)
    /// So many looks have shown that it waits for other things, and none that it waits for connections.
    case elsewhere(looks: Int)
}

/// What a process executes, as its command line and its program file say.
public struct RunningProgram: Equatable, Sendable {
    /// The program's file; an interpreter's own where a script runs.
    public var file: String?
    /// The command line, beginning with the program's name; of a long one its beginning.
    public var arguments: [String]

    public init(file: String?, arguments: [String]) {
        self.file = file
        self.arguments = arguments
    }
}

/// A connection that clients of a worker keep open, and what has happened on it.
public struct KeptConnection: Equatable, Sendable {
    /// Where its client is.
    public var client: String
    /// The process at the other end, where that is on this host.
    public var clientProcess: String?
    /// Bytes that came from the client and bytes that it has confirmed, since the connection began.
    public var received: UInt64
    public var sent: UInt64
    /// The server's own number for it.
    public var inode: UInt64

    public init(client: String, clientProcess: String? = nil, received: UInt64, sent: UInt64, inode: UInt64) {
        self.client = client
        self.clientProcess = clientProcess
        self.received = received
        self.sent = sent
        self.inode = inode
    }
}

/// A process of a service.
public struct ServiceProcess: Equatable, Sendable {
    public var mark: ProcessMark
    public var parent: Int32
    public var command: String
    /// `R`, `S`, `Z`, ... as the kernel says it.
    public var state: UInt8
    /// The inodes of the listeners that it has open; `nil` when its open files may not be read.
    public var listeners: Set<UInt64>?
    /// Not of the service itself, as an activation holder.
    public var isForeign: Bool
    /// Where it stands; `nil` when that may not be read.
    public var folder: FolderMark?
    /// For people: the folder's path as it was.
    public var folderPath: String?
    public var isFolderDeleted: Bool
    /// The folder above the one it stands in.
    public var parentFolder: FolderMark?
    /// Connections that it has accepted and that are open.
    public var connections: Int?
    /// Foreign, and it takes connections at the service's addresses, or may do so.
    public var isStranger: Bool
    /// Of a stranger: its control group, for people.
    public var unit: String?
    /// What it waits for; only of those that hold a listener and have taken no connection so far.
    public var wait: ListenerWait?
    /// The listeners of other processes of the service that it passes requests on to. Empty for one that passes the connections themselves on.
    public var passesTo: Set<UInt64>?
    public var program: RunningProgram?
    /// Of one that holds no listener any more: its connections that clients keep open; `nil` when that was not looked for.
    public var kept: [KeptConnection]?

    public init(
        mark: ProcessMark, parent: Int32, command: String, state: UInt8, listeners: Set<UInt64>?, isForeign: Bool = false,
        folder: FolderMark? = nil, folderPath: String? = nil, isFolderDeleted: Bool = false, parentFolder: FolderMark? = nil, connections: Int? = nil,
        isStranger: Bool = false, unit: String? = nil, wait: ListenerWait? = nil, passesTo: Set<UInt64>? = nil, program: RunningProgram? = nil,
        kept: [KeptConnection]? = nil
    ) {
        self.mark = mark
        self.parent = parent
        self.command = command
        self.state = state
        self.listeners = listeners
        self.isForeign = isForeign
        self.folder = folder
        self.folderPath = folderPath
        self.isFolderDeleted = isFolderDeleted
        self.parentFolder = parentFolder
        self.connections = connections
        self.isStranger = isStranger
        self.unit = unit
        self.wait = wait
        self.passesTo = passesTo
        self.program = program
        self.kept = kept
    }
}

public struct ServiceLook: Equatable, Sendable {
    /// Since boot.
    public var at: Duration
    public var listeners: [ServiceListener]
    /// All of the service's processes, and those that hold its listeners for it.
    public var processes: [ServiceProcess]
    /// What could not be seen, and why, for a person.
    public var lacks: [String]
    /// Why nothing can be said of who accepts connections, and what would help; `nil`: it can be seen.
    public var blindness: String?

    public init(
        at: Duration, listeners: [ServiceListener] = [], processes: [ServiceProcess] = [], lacks: [String] = [], blindness: String? = nil
    ) {
        self.at = at
        self.listeners = listeners
        self.processes = processes
        self.lacks = lacks
        self.blindness = blindness
    }
}

/// What one worker answered to the token question, and that it was this worker.
public struct WorkerAnswer: Equatable, Sendable {
    public enum Content: Equatable, Sendable {
        /// Something of a token's form, whole: it is compared, and never shown.
        case token(String)
        case other(OtherAnswer)
        /// It wants a name and a password, or others.
        case accessDenied(status: Int)
        /// The connection was taken and ended without an answer.
        case lost
        /// No answer in time.
        case silence

        public static func other(status: Int, bytes: Int) -> Self { .other(OtherAnswer(status: status, bytes: bytes)) }
    }

    public var mark: ProcessMark
    public var content: Content
    public var status: Int?
    /// From the end of the request to the end of the answer.
    public var took: Duration
    public var at: Duration
    /// Where it was asked.
    public var address: ServiceListener.Address?

    public init(
        mark: ProcessMark, content: Content, status: Int? = nil, took: Duration, at: Duration, address: ServiceListener.Address? = nil
    ) {
        self.mark = mark
        self.content = content
        self.status = status
        self.took = took
        self.at = at
        self.address = address
    }
}

/// The kernel told of it as it happened.
public struct ProcessIncident: Equatable, Sendable {
    public enum What: Equatable, Sendable {
        case fork(parent: Int32)
        case exec
        /// As `wait` encodes it; `nil` where only the end is known.
        case exit(status: Int32?)
    }

    public var pid: Int32
    public var what: What
    public var at: Duration

    public init(pid: Int32, what: What, at: Duration) {
        self.pid = pid
        self.what = what
        self.at = at
    }
}
