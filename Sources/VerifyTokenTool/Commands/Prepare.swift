// `verify-token prepare`: a fresh token for a release.

import ArgumentParser
import DeployVerification
import Platform

struct Prepare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Puts a fresh token into a release, before the restart.",
        discussion: "Writes the file TOKEN and prints the token alone, for `check --token`.")

    @Option(help: ArgumentHelp("The release's folder.", valueName: "folder"))
    var release: String

    @Option(help: ArgumentHelp("The token to write instead of a new one: 16 to 128 hexadecimal digits and dashes.", valueName: "token"))
    var token: String?

    func run() throws {
        let token =
            if let token { try validated(token) } else { DeployToken() }
        do throws(FileError) {
            try TokenFile.write(token, release: release)
        } catch {
            Output.error("verify-token: \(error)")
            throw ExitCode(2)
        }
        Output.line(token.text)
    }

    private func validated(_ text: String) throws -> DeployToken {
        do throws(DeployTokenError) { return try DeployToken(parsing: text) } catch { throw ValidationError("--token: \(error).") }
    }
}
