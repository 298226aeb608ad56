// The commands that `run` runs, and the signals that come meanwhile.

import Glibc
import Platform
import Synchronization

/// Commands run with this program's input, output and process group; a signal is theirs first.
final class Course: Sendable {
    private struct State {
        var signal: Int32?
        var child: pid_t?
    }

    private let state = Mutex(State())
    private let time: any TimeSource

    init(time: any TimeSource) { self.time = time }

    /// The first signal that has come.
    var signal: Int32? { state.withLock { $0.signal } }

    func note(_ signal: Interruption.Signal) {
        state.withLock { state in
            if state.signal == nil { state.signal = signal.number }
            // What a terminal sends the command has got itself.
            if let child = state.child, !signal.isOfTerminal { kill(child, signal.number) }
        }
    }

    /// Returns when a signal has come, or the task is cancelled.
    func untilSignal() async {
        while signal == nil, !Task.isCancelled { try? await time.sleep(.milliseconds(50)) }
    }

    /// - Parameters:
    ///   - variables: added to this program's environment.
    ///   - isQuietOnOutput: its output goes to standard error: ours is a program's.
    /// - Returns: its exit status as shells say it: 128 and the signal's number when a signal ended it, 127 when there is no such command.
    func run(_ words: [String], variables: [(name: String, value: String)], isQuietOnOutput: Bool) async -> Int32 {
        let child: pid_t
        do throws(SystemError) {
            child = try start(words, variables, isQuietOnOutput)
        } catch {
            Output.error("verify-token: \(error)")
            return error.code == ENOENT ? 127 : 126
        }
        let status = await withCheckedContinuation { (continuation: CheckedContinuation<Int32, Never>) in
            let wait: @Sendable () -> Void = {
                var status: Int32 = 0
                while waitpid(child, &status, 0) < 0 {
                    guard errno == EINTR else { return continuation.resume(returning: 1 << 8) }
                }
                continuation.resume(returning: status)
            }
            if !detachThread(wait) { wait() }
        }
        state.withLock { $0.child = nil }
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }

    /// The child is noted under the lock: a signal comes before it or reaches it.
    private func start(_ words: [String], _ variables: [(name: String, value: String)], _ isQuietOnOutput: Bool) throws(SystemError) -> pid_t {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if isQuietOnOutput { posix_spawn_file_actions_adddup2(&actions, 2, 1) }
        let arguments = words.map { strdup($0) }
        let environment = environment(with: variables).map { strdup($0) }
        defer { for text in arguments + environment { free(text) } }
        let (child, code) = state.withLock { state in
            var child = pid_t()
            let code = posix_spawnp(&child, words.first ?? "", &actions, &attributes, arguments + [nil], environment + [nil])
            if code == 0 { state.child = child }
            return (child, code)
        }
        guard code == 0 else { throw SystemError("starting \(words.first ?? "")", code: code) }
        return child
    }

    private func environment(with variables: [(name: String, value: String)]) -> [String] {
        var texts: [String] = []
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if !variables.contains(where: { text.hasPrefix("\($0.name)=") }) { texts.append(text) }
            next += 1
        }
        return texts + variables.map { "\($0.name)=\($0.value)" }
    }
}
