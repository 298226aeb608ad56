// Programs that rules run, as children of the agent.

public import AgentCore
import Glibc
public import Platform
public import RuleLanguage

/// Starts each program in a process group of its own, with nothing of the agent's but what it needs: no descriptors, no signal settings, a
/// small environment. A program that takes too long is killed with its whole group.
///
/// Another user than the agent's own is only for an agent that runs as root; setpriv(1) then changes everything in the child, so that the
/// agent needs no code between fork and exec.
public final class LinuxCommandRunner: CommandRunner {
    /// Bytes of a program's output that are kept: the last ones.
    static let mostOutput = 4096
    static let setpriv = "/usr/bin/setpriv"

    private let loop: Loop
    private var runs: [Int: ProgramRun] = [:]
    private var lastNumber = 0

    public init(loop: Loop) { self.loop = loop }

    deinit { stop() }

    public func run(_ command: Command, input: [UInt8], _ done: @escaping (CommandOutcome) -> Void) {
        let arguments: [String]
        do throws(ActionError) {
            arguments = try argumentsAsUser(command)
        } catch {
            // Not from within the call: who asks does not expect an answer before it returns.
            loop.after(.zero) { done(CommandOutcome(.notStarted(error.problem))) }
            return
        }
        let environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        let order = ProgramRun.Order(
            arguments: arguments, environment: environment, input: input, deadline: command.timeout, ending: .group, mostOutput: Self.mostOutput)
        lastNumber += 1
        let number = lastNumber
        runs[number] = ProgramRun(order, on: loop) { [weak self] result in
            self?.runs[number] = nil
            done(outcome(result))
        }
    }

    public func stop() {
        for run in runs.values { run.kill() }
        runs = [:]
    }

    private func argumentsAsUser(_ command: Command) throws(ActionError) -> [String] {
        guard let program = command.arguments.first, program.hasPrefix("/") else { throw ActionError("no program with an absolute path") }
        guard access(program, X_OK) == 0 else { throw ActionError("\(program) cannot be run: \(String(cString: strerror(errno)))") }
        guard let user = command.user else { return command.arguments }
        let account = try account(named: user)
        if account.user == geteuid() { return command.arguments }
        guard geteuid() == 0 else { throw ActionError("only an agent that runs as root can run a program as \(user)") }
        return [Self.setpriv, "--reuid=\(account.user)", "--regid=\(account.group)", "--init-groups", "--inh-caps=-all", "--"] + command.arguments
    }

    /// From /etc/passwd itself: asking the directory services behind it could take minutes.
    private func account(named name: String) throws(ActionError) -> (user: uid_t, group: gid_t) {
        guard let file = fopen("/etc/passwd", "re") else { throw ActionError("/etc/passwd cannot be read") }
        defer { fclose(file) }
        while let entry = fgetpwent(file) {
            if String(cString: entry.pointee.pw_name) == name { return (entry.pointee.pw_uid, entry.pointee.pw_gid) }
        }
        throw ActionError("there is no user \(name) in /etc/passwd")
    }
}

private func outcome(_ result: Result<ProgramRun.End, ActionError>) -> CommandOutcome {
    switch result {
    case .success(let end):
        let how: CommandOutcome.End =
            switch end.reason {
            case _ where end.wasLate: .timedOut
            case .exited(let status): .exited(status: status)
            case .signaled(let signal), .dumpedCore(let signal): .signaled(signal)
            default: .notStarted("\(end.reason)")
            }
        return CommandOutcome(how, output: lastLines(end))
    case .failure(let error): return CommandOutcome(.notStarted(error.problem))
    }
}

/// Whole lines, unless one is longer than all that is kept.
private func lastLines(_ end: ProgramRun.End) -> String {
    var lines = String(decoding: end.output, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: true)
    if end.isCut, lines.count > 1 { lines.removeFirst() }
    lines = lines.suffix(20)
    // EROFS, where the host's own file systems can be written: the agent's unit says ProtectSystem=strict.
    if lines.contains(where: { $0.contains("Read-only file system") }), end.reason != .exited(status: 0) {
        lines.append("It runs in the agent's sandbox; in a drop-in of its unit, ReadWritePaths=/THE/FOLDER lets it write there.")
    }
    return lines.joined(separator: "\n")
}
