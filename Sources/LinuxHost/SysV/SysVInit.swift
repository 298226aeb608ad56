// SysV init: scripts, and the pid files of what they start.

import AgentCore
import Glibc
public import Platform

/// The services whose scripts are in /etc/init.d, on hosts where nothing else speaks for those.
public final class SysVInit: ScriptedServices {
    /// - Parameter root: of the file system; tests have their own.
    public init(loop: Loop, root: String = "/") { super.init(SysVServices(root: root), loop: loop) }

    /// systemd and OpenRC run these scripts themselves, and know more about them.
    static var isHere: Bool {
        access("/etc/init.d", F_OK) == 0 && access("/run/systemd/system", F_OK) != 0 && access("/run/openrc/softlevel", F_OK) != 0
    }
}

/// Reads a service's pid file: the one of the rule file, else the one that the script names, else where such files usually are.
private struct SysVServices: ScriptedServiceKind {
    let name = "sysv"
    /// Ends with a slash.
    private let root: String
    private let proc = ProcFileSystem(root: "/")
    private let clockTicks = UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))

    init(root: String) { self.root = root.hasSuffix("/") ? root : root + "/" }

    func names() -> [String] { (entries(of: root + "etc/init.d") ?? []).filter(isScript) }

    func read(_ name: String, pidFile: String?, at now: Moment) -> ScriptedService {
        guard isScript(name) else { return .absent }
        guard let text = script(name) else {
            return .hidden("the agent cannot read \(root)etc/init.d/\(name): \(String(cString: strerror(errno)))")
        }
        let script = SysVScript(parsing: text)
        var report = UnitReport(activity: .stopped, detail: "no pid file")
        for path in paths(name, pidFile, script) {
            switch PidFile(at: path, proc: proc, now: now, clockTicks: clockTicks).service(at: path) {
            case .absent: continue
            case .hidden(let why): return .hidden(why)
            case .known(let found): report = found
            }
            break
        }
        report.canReload = script.reloadVerb != nil
        return .known(report)
    }

    func folders(of name: String, pidFile: String?) -> Set<String> {
        let scripts = root + "etc/init.d"
        guard let text = script(name) else { return [scripts] }
        return Set([scripts] + paths(name, pidFile, SysVScript(parsing: text)).map(folder))
    }

    func command(_ verb: UnitVerb, on name: String) -> Result<[String], ActionError> {
        guard geteuid() == 0 else {
            return .failure(ActionError("the agent may not \(verb) \(name): init scripts are root's to run"))
        }
        guard let text = script(name) else { return .failure(ActionError("there is no script for \(name) any longer")) }
        let reload = SysVScript(parsing: text).reloadVerb
        return .success(["\(root)etc/init.d/\(name)", verb == .reload ? reload ?? "reload" : verb.description])
    }

    /// Not what nobody may run, nor what hands over to Upstart.
    private func isScript(_ name: String) -> Bool {
        let path = "\(root)etc/init.d/\(name)"
        var status = Glibc.stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_mode & S_IXUSR != 0 else { return false }
        var target = [CChar](repeating: 0, count: 256)
        let length = readlink(path, &target, target.count)
        return length <= 0 || !String(decoding: target.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self).hasSuffix("/upstart-job")
    }

    /// `nil` and errno when there is none that can be read.
    private func script(_ name: String) -> [UInt8]? { isScript(name) ? readFile("\(root)etc/init.d/\(name)", limit: 1 << 18) : nil }

    private func paths(_ name: String, _ pidFile: String?, _ script: SysVScript) -> [String] {
        if let named = pidFile ?? script.pidFile { return [root + named.dropFirst()] }
        return ["run/\(name).pid", "run/\(name)/\(name).pid", "var/run/\(name).pid", "var/run/\(name)/\(name).pid"].map { root + $0 }
    }
}

extension PidFile {
    /// What a pid file alone tells of its service; `absent` when it is not there.
    func service(at path: String) -> ScriptedService {
        switch self {
        case .runs(let process): .known(UnitReport(activity: .running, detail: "process \(process.pid)", process: process))
        case .hidden(let pid): .known(UnitReport(activity: .running, detail: hiddenProcess(pid)))
        case .died(let pid): .known(UnitReport(activity: .failed, detail: "process \(pid) has ended and left its pid file"))
        case .otherProcess(let pid): .known(UnitReport(activity: .failed, detail: "process \(pid) is younger than the pid file that names it"))
        case .strange(let pid, let what): .hidden(Self.whyStrange(path, pid, what))
        case .missing: .absent
        case .unreadable(let why): .known(UnitReport(activity: .failed, detail: "the pid file \(why)"))
        case .outOfReach(let why): .hidden("the pid file \(path) cannot be reached: \(why)")
        case .forbidden(let code): .hidden(Self.whyForbidden(path, code))
        }
    }
}
