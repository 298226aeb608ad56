// With which name and password the application is asked.

import ArgumentParser
import Glibc
import Platform
import Transfer

struct LoginOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The user for basic authentication (default: $VERIFY_TOKEN_USER).", valueName: "name"))
    var user: String?

    @Option(
        help: ArgumentHelp(
            "A file with the password on its first line, closed to others (chmod 600). Otherwise $VERIFY_TOKEN_PASS is taken, or systemd's "
                + "credentials verify-token.user and verify-token.password.", valueName: "file"))
    var passwordFile: String?

    func validate() throws {
        guard passwordFile == nil || user != nil || variable("VERIFY_TOKEN_USER") != nil else {
            throw ValidationError("--user and --password-file go together.")
        }
        guard user == nil || passwordFile != nil || variable("VERIFY_TOKEN_PASS") != nil else {
            throw ValidationError("--user and --password-file go together (or $VERIFY_TOKEN_PASS).")
        }
    }

    /// What is said here, or else what the environment says.
    func credentials() throws -> Credentials? { try credentials(user: user, passwordFile: passwordFile) }

    private func credentials(user: String?, passwordFile: String?) throws -> Credentials? {
        let named = user ?? variable("VERIFY_TOKEN_USER")
        if let named, let passwordFile { return Credentials(user: named, password: try secret(passwordFile, "--password-file")) }
        if let named, let password = variable("VERIFY_TOKEN_PASS") { return Credentials(user: named, password: Secret(password)) }
        guard let folder = variable("CREDENTIALS_DIRECTORY") else { return nil }
        let (userFile, file) = ("\(folder)/verify-token.user", "\(folder)/verify-token.password")
        guard access(userFile, F_OK) == 0, access(file, F_OK) == 0 else { return nil }
        return Credentials(user: try secret(userFile, "credential").reveal(), password: try secret(file, "credential"))
    }

    /// The same for what an earlier process has kept.
    static func credentials(user: String?, passwordFile: String?) throws -> Credentials? {
        var options = LoginOptions()
        options.user = user
        options.passwordFile = passwordFile
        return try options.credentials(user: user, passwordFile: passwordFile)
    }

    init() {}
}

private func secret(_ path: String, _ option: String) throws -> Secret {
    do throws(FileError) { return try Secret(file: path) } catch { throw ValidationError("\(option): \(error).") }
}
