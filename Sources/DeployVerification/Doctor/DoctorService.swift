// A service as its agent describes it to doctor: the answer to GET /v1/inspect/SERVICE.

public import AgentAPI
public import Platform

public struct DoctorService: Equatable, Sendable {
    public struct Process: Equatable, Sendable {
        public var pid: Int32
        public var parent: Int32?
        public var command: String
        public var arguments: [String]
        /// Where it stands; `nil` where the agent may not see it.
        public var folder: String?
        public var isFolderDeleted: Bool
        /// The variable PWD that it was started with.
        public var shellFolder: String?
        public var program: String?
        public var isWorker: Bool

        public init(
            pid: Int32, parent: Int32? = nil, command: String = "", arguments: [String], folder: String?, isFolderDeleted: Bool = false,
            shellFolder: String? = nil, program: String? = nil, isWorker: Bool = false
        ) {
            self.pid = pid
            self.parent = parent
            self.command = command
            self.arguments = arguments
            self.folder = folder
            self.isFolderDeleted = isFolderDeleted
            self.shellFolder = shellFolder
            self.program = program
            self.isWorker = isWorker
        }
    }

    public var name: String
    public var unit: String?
    /// `systemd`, `upstart`, ...
    public var initSystem: String?
    public var mainProcess: Int32?
    public var processes: [Process]
    /// `tcp 127.0.0.1:8080`, `unix /run/app.sock`.
    public var listeners: [String]
    /// Why no deploy of it can be proven by its processes, and what would help; `nil`: it may be.
    public var blindness: String?

    public init(
        name: String, unit: String? = nil, initSystem: String? = nil, mainProcess: Int32? = nil, processes: [Process] = [], listeners: [String] = []
    ) {
        self.name = name
        self.unit = unit
        self.initSystem = initSystem
        self.mainProcess = mainProcess
        self.processes = processes
        self.listeners = listeners
    }

    /// What is missing or of another type is not known; only an answer without a service is no answer.
    public init(_ json: JSON) throws(RequestError) {
        guard let name = json["service"]?.string, !name.isEmpty, name.utf8.count <= 255 else {
            throw RequestError(problem: "the answer names no service")
        }
        self.init(name: name, unit: json["unit"]?.string, initSystem: json["init"]?.string, mainProcess: Self.pid(json["main_pid"]))
        blindness = json["blindness"]?.string
        for process in (json["processes"]?.array ?? []).prefix(DoctorLimits.processes) {
            guard let pid = Self.pid(process["pid"]) else { continue }
            processes.append(
                Process(
                    pid: pid, parent: Self.pid(process["parent"]), command: process["command"]?.string ?? "",
                    arguments: (process["arguments"]?.array ?? []).prefix(1000).compactMap(\.string), folder: Self.path(process["cwd"]),
                    isFolderDeleted: process["cwd_deleted"]?.bool ?? false, shellFolder: Self.path(process["pwd"]),
                    program: Self.path(process["exe"]), isWorker: process["is_worker"]?.bool ?? false))
        }
        for listener in (json["listeners"]?.array ?? []).prefix(1000) {
            guard let address = listener["addr"]?.string else { continue }
            listeners.append("\(listener["proto"]?.string ?? "tcp") \(address)")
        }
    }

    private static func pid(_ json: JSON?) -> Int32? {
        json?.integer.flatMap { Int32(exactly: $0) }.flatMap { $0 > 0 ? $0 : nil }
    }

    private static func path(_ json: JSON?) -> String? {
        json?.string.flatMap { $0.hasPrefix("/") && $0.utf8.count <= 4096 ? $0 : nil }
    }

    /// The process that a signal of the init system goes to.
    var main: Process? {
        processes.first { $0.pid == mainProcess } ?? processes.first { process in !processes.contains { $0.pid == process.parent } }
    }
}
