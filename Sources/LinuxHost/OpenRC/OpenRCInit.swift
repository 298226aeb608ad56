// OpenRC: scripts, and what /run/openrc says of them.

import AgentCore
import Glibc
public import Platform

/// The services of OpenRC. It says which are started; that one has crashed, the kernel and the pid file say.
public final class OpenRCInit: ScriptedServices {
    public init(loop: Loop) { super.init(OpenRCServices(), loop: loop) }

    static var isHere: Bool { access("/run/openrc/softlevel", F_OK) == 0 }
}

private struct OpenRCServices: ScriptedServiceKind {
    let name = "openrc"
    private let proc = ProcFileSystem(root: "/")
    private let clockTicks = UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))
    private static let states = ["starting", "stopping", "inactive", "failed", "started"]

    private func state(_ name: String) -> String? {
        Self.states.first { state in
            var status = Glibc.stat()
            return lstat("/run/openrc/\(state)/\(name)", &status) == 0
        }
    }

    func names() -> [String] { entries(of: "/etc/init.d") ?? [] }

    func read(_ name: String, pidFile: String?, at now: Moment) -> ScriptedService {
        guard let script = readFile("/etc/init.d/\(name)", limit: 1 << 18) else {
            let isThere = errno == EACCES && access("/etc/init.d/\(name)", F_OK) == 0
            return isThere ? .hidden("the agent cannot read /etc/init.d/\(name): \(String(cString: strerror(EACCES)))") : .absent
        }
        let state = state(name)
        var report = UnitReport(activity: .stopped, detail: state ?? "stopped")
        switch state {
        case "starting", "inactive": report.activity = .starting
        case "stopping":
            report.activity = .stopping
            report.isAsked = true
        case "failed": report.activity = .failed
        case "started":
            switch started(name, pidFile, now) {
            case .known(let found): report = found
            case .hidden(let why): return .hidden(why)
            case .absent: break
            }
        // One that has crashed still counts as started: this one was stopped.
        default: report.isAsked = true
        }
        report.canReload = offersReload(parsing: script)
        return .known(report)
    }

    private func started(_ name: String, _ pidFile: String?, _ now: Moment) -> ScriptedService {
        let options = "/run/openrc/options/\(name)/"
        let child = options + "child_pid"
        if access(child, F_OK) == 0 {
            // supervise-daemon starts it again by itself.
            let service = PidFile(at: child, proc: proc, now: now, clockTicks: clockTicks).service(at: child)
            if case .hidden = service { return service }
            var report = UnitReport(activity: .restarting, detail: "no pid file")
            if case .known(let found) = service { report = found }
            report.restartsByItself = true
            if report.activity == .failed { report.activity = .restarting }
            report.detail = "started, supervised, \(report.detail)"
            return .known(report)
        }
        guard let path = pidFile ?? pidFilePath(name) else { return .known(UnitReport(activity: .running, detail: "started")) }
        switch PidFile(at: path, proc: proc, now: now, clockTicks: clockTicks).service(at: path) {
        // A service that OpenRC started and that left no pid file has ended as well.
        case .absent: return .known(UnitReport(activity: .failed, detail: "crashed: no pid file"))
        case .hidden(let why): return .hidden(why)
        case .known(var report):
            report.detail = report.activity == .running ? "started, \(report.detail)" : "crashed: \(report.detail)"
            return .known(report)
        }
    }

    /// What the service was started with says where its pid is.
    private func pidFilePath(_ name: String) -> String? {
        if let text = readFile("/run/openrc/options/\(name)/pidfile", limit: 4096) {
            let path = String(decoding: text.prefix { $0 != 10 && $0 != 0 }, as: UTF8.self)
            if path.hasPrefix("/") { return path }
        }
        guard let text = readFile("/run/openrc/daemons/\(name)/001", limit: 4096) else { return nil }
        let prefix = "pidfile="
        for line in text.split(separator: 10) where line.starts(with: prefix.utf8) {
            let path = String(decoding: line.dropFirst(prefix.utf8.count), as: UTF8.self)
            if path.hasPrefix("/") { return path }
        }
        return nil
    }

    func folders(of name: String, pidFile: String?) -> Set<String> {
        var folders = Set(["/etc/init.d"] + Self.states.map { "/run/openrc/\($0)" })
        if access("/run/openrc/options/\(name)", F_OK) == 0 { folders.insert("/run/openrc/options/\(name)") }
        if let path = pidFile ?? pidFilePath(name) { folders.insert(folder(of: path)) }
        return folders
    }

    func command(_ verb: UnitVerb, on name: String) -> Result<[String], ActionError> {
        guard geteuid() == 0 else { return .failure(ActionError("the agent may not \(verb) \(name): rc-service is root's to run")) }
        let places = ["/sbin/rc-service", "/usr/sbin/rc-service", "/bin/rc-service", "/usr/bin/rc-service"]
        guard let tool = places.first(where: { access($0, X_OK) == 0 }) else {
            return .failure(ActionError("rc-service is not there; it comes with OpenRC"))
        }
        // One that has crashed still counts as started: a start would do nothing, and a stop fail because there is nothing to stop.
        guard hasCrashed(name) else { return .success([tool, name, verb.description]) }
        return .success([tool, name, "zap"] + (verb == .stop ? [] : ["start"]))
    }

    private func hasCrashed(_ name: String) -> Bool {
        guard state(name) == "started", access("/run/openrc/options/\(name)/child_pid", F_OK) != 0, let path = pidFilePath(name) else { return false }
        return switch PidFile(at: path, proc: proc, now: SystemTime().now(), clockTicks: clockTicks) {
        case .died, .otherProcess, .missing: true
        case .runs, .hidden, .strange, .unreadable, .forbidden, .outOfReach: false
        }
    }
}

/// Whether a script declares `reload` among the commands that it has while it is started.
func offersReload(parsing script: [UInt8]) -> Bool {
    for line in script.split(separator: 10) {
        let words = Fields(line)
        guard let first = words.text(at: 0),
            first.hasPrefix("extra_started_commands=") || first.hasPrefix("opts=") || first.hasPrefix("extra_commands=")
        else { continue }
        let text = String(decoding: line, as: UTF8.self)
        if text.split(whereSeparator: { " =\"'\t".contains($0) }).contains("reload") { return true }
    }
    return false
}
