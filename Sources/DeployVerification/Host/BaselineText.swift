// A baseline as JSON: it is kept on disk, so that a deploy outlives the agent that prepared it.

import AgentAPI
public import Platform

/// A baseline that cannot be read, and why.
public struct BaselineError: Error, Equatable, CustomStringConvertible, Sendable {
    public var description: String

    init(_ problem: String) { description = problem }
}

extension Baseline {
    public var json: JSON {
        [
            "boot": .string(boot), "at_us": .integer(at.microseconds), "workers": .integer(Int64(workers)), "fronts": .integer(Int64(fronts)),
            "processes": .array(processes.map(\.json)),
            "listeners": .array(listeners.map { ["address": $0.address.json, "aside": .bool($0.isAside), "token": .bool($0.hasToken)] }),
            "lacks": .array(lacks.map(JSON.string)),
        ]
    }

    public init(_ json: JSON) throws(BaselineError) {
        guard let boot = json["boot"]?.string, let at = json["at_us"]?.integer, at >= 0,
            let workers = json["workers"]?.integer, (0...Int64(Self.mostProcesses)).contains(workers), let list = json["processes"]?.array,
            list.count <= Self.mostProcesses, let addresses = json["listeners"]?.array, addresses.count <= Self.mostProcesses,
            let lacks = json["lacks"]?.array
        else { throw BaselineError("a baseline lacks its boot, time, processes or listeners, or has too many") }
        self.boot = boot
        self.at = .microseconds(at)
        self.workers = Int(workers)
        fronts = Int(clamping: json["fronts"]?.integer ?? 0)
        self.lacks = lacks.compactMap(\.string)
        processes = []
        listeners = []
        for json in list { processes.append(try Process(json)) }
        for json in addresses {
            guard let address = json["address"].flatMap(ServiceListener.Address.init), let isAside = json["aside"]?.bool else {
                throw BaselineError("a listener of a baseline makes no sense")
            }
            listeners.append(Listener(address: address, isAside: isAside, hasToken: json["token"]?.bool ?? false))
        }
    }

    private static let mostProcesses = 10_000
}

extension Baseline.Process {
    fileprivate var json: JSON {
        var members: [JSON.Member] = [
            .init("pid", .integer(Int64(mark.pid))), .init("start", .string(String(mark.startTicks))), .init("exec", .string(mark.generation.text)),
            .init("command", .string(command)), .init("deleted", .bool(isFolderDeleted)),
        ]
        if isIdle { members.append(.init("idle", .bool(true))) }
        if isHanded { members.append(.init("handed", .bool(true))) }
        if let role { members.append(.init("role", .string(role.rawValue))) }
        if let folder { members.append(.init("folder", .string(folder.text))) }
        if let folderPath { members.append(.init("path", .string(folderPath))) }
        if let parentFolder { members.append(.init("above", .string(parentFolder.text))) }
        switch answer {
        case .token(let prefix): members.append(.init("token", .string(prefix)))
        case .thisToken: members.append(.init("answer", "this"))
        case .other: members.append(.init("answer", "other"))
        case .accessDenied: members.append(.init("answer", "denied"))
        case nil: break
        }
        return .object(members)
    }

    fileprivate init(_ json: JSON) throws(BaselineError) {
        guard let pid = json["pid"]?.integer.flatMap({ Int32(exactly: $0) }), let start = json["start"]?.string.flatMap({ UInt64($0) }),
            let generation = json["exec"]?.string.flatMap(ExecGeneration.init(text:)), let command = json["command"]?.string
        else { throw BaselineError("a process of a baseline makes no sense") }
        mark = ProcessMark(pid: pid, startTicks: start, generation: generation)
        self.command = command
        isFolderDeleted = json["deleted"]?.bool ?? false
        isIdle = json["idle"]?.bool ?? false
        isHanded = json["handed"]?.bool ?? false
        role = json["role"]?.string.flatMap(HostDeploy.Role.init)
        folder = json["folder"]?.string.flatMap(FolderMark.init(text:))
        folderPath = json["path"]?.string
        parentFolder = json["above"]?.string.flatMap(FolderMark.init(text:))
        switch json["answer"]?.string {
        case "this": answer = .thisToken
        case "other": answer = .other
        case "denied": answer = .accessDenied
        default: answer = json["token"]?.string.map { .token(prefix: $0) }
        }
    }
}

extension ServiceListener.Address {
    fileprivate var json: JSON {
        switch self {
        case .tcp(let address, let port): ["tcp": .string(address), "port": .integer(Int64(port))]
        case .unix(let path): ["unix": .string(path)]
        }
    }

    fileprivate init?(_ json: JSON) {
        if let address = json["tcp"]?.string, let port = json["port"]?.integer.flatMap({ UInt16(exactly: $0) }) {
            self = .tcp(address: address, port: port)
        } else if let path = json["unix"]?.string {
            self = .unix(path: path)
        } else {
            return nil
        }
    }
}

// Numbers of 64 bits do not fit into those of JSON.
extension ExecGeneration {
    fileprivate var text: String {
        switch self {
        case .vector(let random, let sysinfo): "vector \(String(random, radix: 16)) \(String(sysinfo, radix: 16))"
        case .code(let code): "code \(String(code, radix: 16))"
        case .unknown: "unknown"
        }
    }

    fileprivate init?(text: String) {
        let words = text.split(separator: " ")
        switch (words.first, words.count) {
        case ("vector", 3):
            guard let random = UInt64(words[1], radix: 16), let sysinfo = UInt64(words[2], radix: 16) else { return nil }
            self = .vector(random: random, sysinfo: sysinfo)
        case ("code", 2):
            guard let code = UInt64(words[1], radix: 16) else { return nil }
            self = .code(code)
        case ("unknown", 1): self = .unknown
        default: return nil
        }
    }
}

extension FolderMark {
    fileprivate var text: String { "\(device) \(inode)" }

    fileprivate init?(text: String) {
        let words = text.split(separator: " ").map { UInt64($0) }
        guard words.count == 2, let device = words[0], let inode = words[1] else { return nil }
        self.init(device: device, inode: inode)
    }
}
