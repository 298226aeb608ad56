// `verify-token`: proves that a deploy took effect.

import ArgumentParser
import Glibc
import Platform

@main
struct VerifyToken: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify-token",
        abstract: "Proves that a deploy took effect.",
        discussion: """
            Before the restart, `prepare` puts a fresh token into the release. The application reads it once, when it boots, and \
            serves it. After the restart, `check` looks until the new token answers everywhere, or says what answers instead. Where a Rollcall \
            agent runs, it says of every worker whether it is new. `run` does it all around a deploy command.
            """,
        version: rollcallVersion,
        subcommands: [Prepare.self, Check.self, Run.self, Probe.self, Status.self, DoctorCommand.self])

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
        } catch {
            finish(error)
        }
    }

    /// Ends the program: help goes to standard output and is no error; wrong usage is 2, the same as for most programs.
    private static func finish(_ error: any Error) -> Never {
        if let code = error as? ExitCode { Glibc.exit(code.rawValue) }
        let message = fullMessage(for: error)
        if exitCode(for: error) == .success {
            Output.line(message)
            Glibc.exit(0)
        }
        Output.error(withoutPasswords(message))
        Glibc.exit(2)
    }
}

/// A message that may repeat what was typed: what stands between `://` and `@` is taken out.
func withoutPasswords(_ text: String) -> String {
    var rest = text[...]
    var out = ""
    while let start = rest.firstRange(of: "://") {
        out += rest[..<start.upperBound]
        rest = rest[start.upperBound...]
        let authority = rest.prefix { !$0.isWhitespace && $0 != "'" }
        if let at = authority.lastIndex(of: "@") {
            out += "..."
            rest = rest[at...]
        }
    }
    return out + rest
}
