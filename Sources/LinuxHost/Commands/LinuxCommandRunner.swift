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
    private var children: [Int32: Child] = [:]

    private final class Child {
        var process: Int32 = -1
        var output: Int32 = -1
        var input: Int32 = -1
        var toWrite: ArraySlice<UInt8>
        var written: [UInt8] = []
        var timer: Loop.Timer?
        var hasTimedOut = false
        let done: (CommandOutcome) -> Void

        init(_ input: [UInt8], _ done: @escaping (CommandOutcome) -> Void) {
            toWrite = input[...]
            self.done = done
        }
    }

    public init(loop: Loop) { self.loop = loop }

    deinit { stop() }

    public func run(_ command: Command, input: [UInt8], _ done: @escaping (CommandOutcome) -> Void) {
        let child = Child(input, done)
        do {
            let arguments = try argumentsAsUser(command)
            let pid = try start(arguments, child)
            children[pid] = child
            try follow(pid, child, timeout: command.timeout)
        } catch {
            // Not from within the call: who asks does not expect an answer before it returns.
            loop.after(.zero) { done(CommandOutcome(.notStarted(error.problem))) }
        }
    }

    public func stop() {
        for (pid, child) in children {
            kill(-pid, SIGKILL)
            closeAll(child)
            if let timer = child.timer { loop.cancel(timer) }
            waitpid(pid, nil, 0)
        }
        children = [:]
    }

    // MARK: Start

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

    private func start(_ arguments: [String], _ child: Child) throws(ActionError) -> Int32 {
        let input = try makePipe()
        let output: (read: Int32, write: Int32)
        do throws(ActionError) {
            output = try makePipe()
        } catch {
            close(input.read)
            close(input.write)
            throw error
        }
        defer {
            close(input.read)
            close(output.write)
        }
        let environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        let pid: Int32
        do throws(SystemError) {
            pid = try spawn(
                arguments[0], Array(arguments.dropFirst()), environment: environment, input: input.read, output: output.write, errors: output.write)
        } catch {
            close(input.write)
            close(output.read)
            throw ActionError("\(arguments[0]) cannot be run: \(String(cString: strerror(error.code)))")
        }
        child.input = input.write
        child.output = output.read
        return pid
    }

    private func makePipe() throws(ActionError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw ActionError("no pipe: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    // MARK: Follow

    private func follow(_ pid: Int32, _ child: Child, timeout: Duration) throws(ActionError) {
        do {
            child.process = try openProcess(pid)
            for end in [child.input, child.output] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
            try loop.watch(child.process, for: .readable) { [weak self] _ in self?.end(pid) }
            try loop.watch(child.output, for: .readable) { [weak self] _ in self?.read(child) }
            try loop.watch(child.input, for: .writable) { [weak self] _ in self?.write(child) }
        } catch {
            kill(-pid, SIGKILL)
            closeAll(child)
            waitpid(pid, nil, 0)
            children[pid] = nil
            throw ActionError("the program cannot be followed: \(error)")
        }
        child.timer = loop.after(timeout) { [weak child] in
            child?.hasTimedOut = true
            kill(-pid, SIGKILL)
        }
    }

    private func write(_ child: Child) {
        guard !child.toWrite.isEmpty else { return close(&child.input) }
        let count = child.toWrite.withUnsafeBytes { Glibc.write(child.input, $0.baseAddress, $0.count) }
        if count > 0 { child.toWrite = child.toWrite.dropFirst(count) }
        // It does not want to hear the rest.
        if count < 0, errno != EAGAIN, errno != EINTR { child.toWrite = [] }
        if child.toWrite.isEmpty { close(&child.input) }
    }

    private func read(_ child: Child) {
        var chunk = [UInt8](repeating: 0, count: 16384)
        // Bounded, so that a program which writes without end does not hold the loop.
        for _ in 0..<16 {
            let count = Glibc.read(child.output, &chunk, chunk.count)
            if count < 0 { return }
            guard count > 0 else { return close(&child.output) }
            child.written += chunk[..<count]
            if child.written.count > Self.mostOutput { child.written.removeFirst(child.written.count - Self.mostOutput) }
        }
    }

    private func end(_ pid: Int32) {
        guard let child = children[pid] else { return }
        var status: Int32 = 0
        let result = waitpid(pid, &status, WNOHANG)
        if result == 0 { return }
        children[pid] = nil
        if let timer = child.timer { loop.cancel(timer) }
        if child.output >= 0 { read(child) }
        closeAll(child)
        let signal = status & 0x7f
        let end: CommandOutcome.End =
            child.hasTimedOut ? .timedOut : signal == 0 ? .exited(status: (status >> 8) & 0xff) : .signaled(signal)
        child.done(CommandOutcome(end, output: lastLines(child.written)))
    }

    /// Whole lines, unless one is longer than all that is kept.
    private func lastLines(_ bytes: [UInt8]) -> String {
        var lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: true)
        if bytes.count >= Self.mostOutput, lines.count > 1 { lines.removeFirst() }
        return lines.suffix(20).joined(separator: "\n")
    }

    private func closeAll(_ child: Child) {
        close(&child.process)
        close(&child.input)
        close(&child.output)
    }

    private func close(_ descriptor: inout Int32) {
        guard descriptor >= 0 else { return }
        loop.unwatch(descriptor)
        Glibc.close(descriptor)
        descriptor = -1
    }

    private func close(_ descriptor: Int32) { Glibc.close(descriptor) }
}
