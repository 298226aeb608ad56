// What may matter to a service's deploys, for whoever looks for what would spoil them.

import AgentAPI
import AgentCore
import DeployVerification
import Glibc
import Platform

extension ServiceObserver {
    private static let mostArguments = 64
    private static let longestArgument = 1024

    func examine(_ service: InspectedService, now: Duration) -> ServiceFacts {
        let look = look(at: service, known: [], now: now)
        let baseline = Baseline(look, answers: [], token: "", boot: "")
        let workers = Set(baseline.processes.lazy.filter { $0.role == .worker }.map(\.mark.pid))
        let processes = look.processes.prefix(DeployLimits.processes).map { process in
            ServiceFacts.Process(
                pid: process.mark.pid, parent: process.parent, command: process.command, arguments: arguments(of: process.mark.pid),
                folder: process.folderPath, isFolderDeleted: process.isFolderDeleted, environmentFolder: environmentFolder(of: process.mark.pid),
                program: linkTarget(proc.path(of: process.mark.pid, "exe")), isWorker: workers.contains(process.mark.pid))
        }
        let listeners = look.listeners.prefix(DeployLimits.listeners).map { listener in
            switch listener.address {
            case .tcp(let address, let port):
                HostDeploy.Listener(kind: "tcp", address: address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)")
            case .unix(let path): HostDeploy.Listener(kind: "unix", address: path)
            }
        }
        return ServiceFacts(
            service: service.name, mainProcess: service.mainProcess, processes: Array(processes), listeners: Array(listeners), lacks: look.lacks,
            blindness: look.blindness)
    }

    func arguments(of pid: Int32) -> [String]? {
        guard let bytes = readFile(proc.path(of: pid, "cmdline"), limit: 64 << 10) else { return nil }
        return bytes.split(separator: 0, maxSplits: Self.mostArguments).prefix(Self.mostArguments).map {
            String(decoding: $0.prefix(Self.longestArgument), as: UTF8.self)
        }
    }

    /// Only this of the environment, which holds secrets.
    private func environmentFolder(of pid: Int32) -> String? {
        guard let bytes = readFile(proc.path(of: pid, "environ"), limit: 256 << 10) else { return nil }
        let entry = bytes.split(separator: 0).first { $0.starts(with: "PWD=".utf8) }
        return entry.map { String(decoding: $0.dropFirst(4).prefix(DeployLimits.text), as: UTF8.self) }
    }
}
