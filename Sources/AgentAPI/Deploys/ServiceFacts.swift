// What can be seen of a service from outside, for whoever looks for what would spoil its deploys.

public import Platform

/// The facts about a service that `verify-token doctor` judges. Nothing in it was asked of the service itself.
public struct ServiceFacts: Equatable, Sendable {
    public struct Process: Equatable, Sendable {
        public var pid: Int32
        public var parent: Int32
        /// The program's name, as the kernel has it.
        public var command: String
        /// The first 64, each up to 1024 bytes; `nil` when they may not be read.
        public var arguments: [String]?
        public var folder: String?
        public var isFolderDeleted: Bool
        /// `PWD` of the environment that it was given.
        public var environmentFolder: String?
        public var program: String?
        public var isWorker: Bool

        public init(
            pid: Int32, parent: Int32, command: String, arguments: [String]? = nil, folder: String? = nil, isFolderDeleted: Bool = false,
            environmentFolder: String? = nil, program: String? = nil, isWorker: Bool
        ) {
            self.pid = pid
            self.parent = parent
            self.command = command
            self.arguments = arguments
            self.folder = folder
            self.isFolderDeleted = isFolderDeleted
            self.environmentFolder = environmentFolder
            self.program = program
            self.isWorker = isWorker
        }
    }

    public var service: String
    /// As its init system calls it, and which one that is.
    public var unit: String?
    public var initSystem: String?
    public var mainProcess: Int32?
    public var processes: [Process]
    public var listeners: [HostDeploy.Listener]
    /// What could not be seen, and why.
    public var lacks: [String]
    /// Why no deploy of it can be proven by its processes, and what would help; `nil`: it may be.
    public var blindness: String?

    public init(
        service: String, unit: String? = nil, initSystem: String? = nil, mainProcess: Int32? = nil, processes: [Process] = [],
        listeners: [HostDeploy.Listener] = [], lacks: [String] = [], blindness: String? = nil
    ) {
        self.service = service
        self.unit = unit
        self.initSystem = initSystem
        self.mainProcess = mainProcess
        self.processes = processes
        self.listeners = listeners
        self.lacks = lacks
        self.blindness = blindness
    }
}

extension ServiceFacts {
    public var json: JSON {
        func text(_ value: String?) -> JSON { value.map(JSON.string) ?? .null }
        let processes = processes.map { process -> JSON in
            [
                "pid": .integer(Int64(process.pid)), "parent": .integer(Int64(process.parent)), "command": .string(process.command),
                "arguments": process.arguments.map { .array($0.map(JSON.string)) } ?? .null, "cwd": text(process.folder),
                "cwd_deleted": .bool(process.isFolderDeleted), "pwd": text(process.environmentFolder), "exe": text(process.program),
                "is_worker": .bool(process.isWorker),
            ]
        }
        return [
            "service": .string(service), "unit": text(unit), "init": text(initSystem),
            "main_pid": mainProcess.map { .integer(Int64($0)) } ?? .null, "processes": .array(processes),
            "listeners": .array(listeners.map { ["proto": .string($0.kind), "addr": .string($0.address)] }),
            "lacks": .array(lacks.map(JSON.string)), "blindness": text(blindness),
        ]
    }
}
