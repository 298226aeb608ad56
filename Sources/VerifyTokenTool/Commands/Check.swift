// `verify-token check`: looks until the new token answers, or the time is over.

import ArgumentParser
import AgentAPI
import DeployVerification
import Glibc
import Platform
import Transfer

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Proves that every URL answers with the token, after the restart.",
        discussion: """
            Each look is a connection of its own; redirects are not followed. Refused connections, errors 5xx and failed TLS are \
            tried again until the time is over; a denied access or a certificate that is not trusted for five seconds at most.

            Exit codes:
              0   VERIFIED     the last answers of every URL were the new token
              1   STALE        the old release still answers
              2                wrong usage
              3   MIXED        new and other answers beside each other
              4   DOWN         nobody accepts connections
              8   UNPROVEN     nothing proves which release answers
              9   IN_PROGRESS  only the new token by now, but not yet often enough
              10  UNREACHABLE  no way there, access denied, or certificate not trusted
              130              interrupted
            """)

    @Option(
        help: ArgumentHelp(
            "A URL that answers the token; may be repeated. A user and password in it are taken, but every user of the machine can "
                + "see them: better use --user and --password-file.", valueName: "url"))
    var url: [String]

    @Option(help: ArgumentHelp("The token; - reads it from standard input.", valueName: "token"))
    var token: String?

    @Option(help: ArgumentHelp("A file with the token, such as the release's TOKEN.", valueName: "file"))
    var tokenFile: String?

    @Option(help: ArgumentHelp("How long to look at most.", valueName: "seconds"))
    var timeout = Seconds(.seconds(60))

    @Option(help: ArgumentHelp("Between two looks at one URL.", valueName: "seconds"))
    var interval = Seconds(.milliseconds(500))

    @Option(help: ArgumentHelp("How many right answers in a row prove a URL.", valueName: "count"))
    var consecutive = 5

    @Option(help: ArgumentHelp("The user for basic authentication.", valueName: "name"))
    var user: String?

    @Option(help: ArgumentHelp("A file with the password on its first line, closed to others (chmod 600).", valueName: "file"))
    var passwordFile: String?

    @Option(help: ArgumentHelp("The authorities to trust instead of the system's (PEM).", valueName: "file"))
    var caFile: String?

    @Flag(help: "Send the password over http to other machines too.")
    var insecureHttp = false

    @Flag(help: "Print the result as one JSON object.")
    var json = false

    @Flag(help: "Print nothing but the result.")
    var quiet = false

    func run() async throws {
        let token = try readToken()
        let requests = try makeRequests()
        var patience = Verifier.Patience()
        patience.consecutive = consecutive
        patience.timeout = timeout.duration
        patience.interval = interval.duration
        let transfers = try Transfers()
        let watch = Watch(
            urls: requests.map(\.endpoint.text), token: token, patience: patience, showsProgress: !quiet, time: SystemTime())
        Interruption.onSignal { number in
            await watch.interrupted()
            Glibc.exit(128 + number)
        }
        let verdict = await watch.look(at: requests, with: transfers)
        await watch.print(verdict, asJSON: json, quiet: quiet)
        throw ExitCode(verdict.exitCode)
    }

    func validate() throws {
        guard !url.isEmpty else { throw ValidationError("--url is missing: what should answer the token?") }
        guard (1...1000).contains(consecutive) else { throw ValidationError("--consecutive must be from 1 to 1000.") }
        guard (.milliseconds(100)...(.seconds(86400))).contains(timeout.duration) else {
            throw ValidationError("--timeout must be from 0.1 to 86400 seconds.")
        }
        guard (.milliseconds(20)...(.seconds(3600))).contains(interval.duration) else {
            throw ValidationError("--interval must be from 0.02 to 3600 seconds.")
        }
        guard (user == nil) == (passwordFile == nil) else { throw ValidationError("--user and --password-file go together.") }
        guard (token == nil) != (tokenFile == nil) else { throw ValidationError("One of --token and --token-file is needed.") }
    }

    private func readToken() throws -> DeployToken {
        var text = token ?? ""
        if token == "-" { text = readLine() ?? "" }
        if let tokenFile {
            do throws(FileError) {
                text = String(decoding: try AtomicFile.read(tokenFile, limit: 4096), as: UTF8.self)
            } catch {
                throw ValidationError("--token-file: \(error).")
            }
            if text.hasSuffix("\n") { text.removeLast() }
        }
        do throws(DeployTokenError) { return try DeployToken(parsing: text) } catch { throw ValidationError("\(error).") }
    }

    private func makeRequests() throws -> [HTTPRequest] {
        let login = try readLogin()
        if let caFile {
            do throws(FileError) { _ = try AtomicFile.read(caFile, limit: 1 << 24) } catch { throw ValidationError("--ca-file: \(error).") }
        }
        return try url.enumerated().map { index, text in
            let (endpoint, inURL) = try parse(text, position: index + 1)
            if inURL != nil, !quiet {
                Output.error("warning: every user of this machine can see the password in the URL: use --user and --password-file")
            }
            let credentials = inURL ?? login
            guard credentials == nil || endpoint.isEncrypted || endpoint.isLoopback || insecureHttp else {
                throw ValidationError("\(endpoint): the password would travel in the clear; use https, or --insecure-http if that is meant.")
            }
            var request = HTTPRequest(endpoint)
            request.credentials = credentials
            request.freshConnection = true
            request.connectTimeout = .seconds(2)
            request.deadline = .seconds(5)
            request.maximumBody = 4096
            request.authorities = caFile
            request.headers = [("User-Agent", "verify-token"), ("Cache-Control", "no-cache")]
            return request
        }
    }

    private func readLogin() throws -> Credentials? {
        guard let user, let passwordFile else { return nil }
        do throws(FileError) {
            return Credentials(user: user, password: try Secret(file: passwordFile))
        } catch {
            throw ValidationError("--password-file: \(error).")
        }
    }

    private func parse(_ text: String, position: Int) throws -> (Endpoint, Credentials?) {
        // The text itself is not repeated: it may hold a password.
        do throws(EndpointError) { return try Endpoint.parse(text) } catch { throw ValidationError("--url number \(position) \(error).") }
    }
}

/// `60`, `0.5`, `60s`, `500ms`.
struct Seconds: ExpressibleByArgument, CustomStringConvertible {
    let duration: Duration

    init(_ duration: Duration) { self.duration = duration }

    init?(argument: String) {
        let (number, factor) =
            if argument.hasSuffix("ms") { (argument.dropLast(2), 0.001) } else {
                (argument.hasSuffix("s") ? argument.dropLast() : argument[...], 1.0)
            }
        guard let value = Double(number), value.isFinite, value >= 0, value <= 1e9 else { return nil }
        duration = .seconds(value * factor)
    }

    var description: String {
        let value = duration.inSeconds
        return value == value.rounded() ? "\(Int(value))" : "\(value)"
    }
}
