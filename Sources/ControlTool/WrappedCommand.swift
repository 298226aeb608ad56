// A command that this one runs in its own place: same input and output, same signals, same exit status.

import Glibc

/// Runs a command and waits for it.
struct WrappedCommand {
    private static let forwarded = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]

    private var others = sigset_t()

    /// From here on signals wait for the command, so that none can end this program between opening and closing.
    init() {
        var held = sigset_t()
        sigemptyset(&held)
        for signal in Self.forwarded + [SIGCHLD] { sigaddset(&held, signal) }
        sigprocmask(SIG_BLOCK, &held, &others)
    }

    /// - Returns: its exit status, as shells say it: 128 and the signal's number when a signal ended it, 127 when there is no such command.
    mutating func run(_ words: [String]) -> Int32 {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setsigmask(&attributes, &others)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        defer { for argument in arguments { free(argument) } }
        arguments.append(nil)
        var child = pid_t()
        let problem = posix_spawnp(&child, words.first ?? "", nil, &attributes, arguments, environ)
        guard problem == 0 else {
            Output.complaint.say("rollcall: \(words.first ?? ""): \(String(cString: strerror(problem)))\n")
            return problem == ENOENT ? 127 : 126
        }
        return wait(for: child)
    }

    private func wait(for child: pid_t) -> Int32 {
        var awaited = sigset_t()
        sigemptyset(&awaited)
        for signal in Self.forwarded + [SIGCHLD] { sigaddset(&awaited, signal) }
        while true {
            var status: Int32 = 0
            let ended = waitpid(child, &status, WNOHANG)
            if ended == child { return exitStatus(status) }
            if ended < 0, errno != EINTR { return 1 }
            var information = siginfo_t()
            let signal = sigwaitinfo(&awaited, &information)
            // What a terminal sends (si_code above 0) the command has got itself.
            if signal > 0, signal != SIGCHLD, information.si_code <= 0 { kill(child, signal) }
        }
    }

    private func exitStatus(_ status: Int32) -> Int32 {
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }
}
