// A real service and a real agent that watches it, for verify-token to ask.

import AgentAPI
import Foundation
import Platform
import Synchronization
import TestKit
import Testing

/// A running `Tests/Beds/two-workers` with releases and a `current` link.
struct TwoWorkers: Sendable {
    let folder: TemporaryFolder
    let program: ChildProcess

    /// - Parameter token: of the first release; `nil`: it has none.
    init(token: String? = String(repeating: "0", count: 32)) async throws {
        folder = try TemporaryFolder()
        try folder.write("correct horse\n", to: "password", mode: 0o600)
        let first = folder.path + "/releases/1"
        try FileManager.default.createDirectory(atPath: first, withIntermediateDirectories: true)
        if let token { try folder.write(token, to: "releases/1/TOKEN") }
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/current", withDestinationPath: "releases/1")
        program = try ChildProcess(bed("two-workers"), [folder.path])
        _ = try await program.whenReady(folder.path + "/port")
    }

    func release(_ name: String) throws -> String {
        let path = "\(folder.path)/releases/\(name)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// Points `current` to a release.
    func change(to name: String) throws {
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/next", withDestinationPath: "releases/\(name)")
        guard rename(folder.path + "/next", folder.path + "/current") == 0 else { throw ChildProcess.Failure(description: "no link") }
    }

    /// All workers anew.
    func restart() { program.signal(SIGHUP) }

    var url: String { "http://127.0.0.1:\((try? String(contentsOfFile: folder.path + "/port", encoding: .utf8)) ?? "1")" }

    /// As the agent's rule file says how its workers are asked.
    var asks: String { "deploy_path /about/deploy, deploy_user about, deploy_password_file \"\(folder.path)/password\"" }
}

/// A running `rollcall-agent` with an endpoint for deploys.
final class RealAgent: Sendable {
    let folder: TemporaryFolder
    let port: Int
    let address: String
    private let certificates: Certificates?
    private let words: [String]
    private let program: Mutex<ChildProcess>

    /// - Parameters:
    ///   - services: the parameters after `with` of each service.
    ///   - certificates: without them it speaks no TLS.
    init(
        _ host: String = "app-1", services: [String: String], at address: String = "127.0.0.1", port: Int? = nil, certificates: Certificates? = nil
    ) async throws {
        folder = try TemporaryFolder()
        self.address = address
        self.port = try port ?? freePort()
        self.certificates = certificates
        try folder.write("battery staple\n", to: "password", mode: 0o600)
        try folder.write("wrong\n", to: "wrong", mode: 0o600)
        try folder.write(
            """
            set hostname \(host)
            set cycle_time 1
            set state_directory "\(folder.path)/state"
            set socket "\(folder.path)/agent.sock"
            set listen \(address):\(self.port)
            set listen_user deploy
            set listen_password_file "\(folder.path)/password"
            \(certificates.map { "set listen_certificate_file \"\($0.certificate)\"\nset listen_key_file \"\($0.key)\"" } ?? "")

            """, to: "etc/rollcall.conf")
        for (name, parameters) in services { try folder.write("check service \(name) with \(parameters)\n", to: "etc/services.d/\(name).inq") }
        words = ["--config", folder.path + "/etc"]
        program = Mutex(try ChildProcess(built("rollcall-agent"), words))
        try await isReady()
    }

    private func isReady() async throws {
        try await eventually("the agent watches and listens") {
            let log = program.withLock { $0.errors }
            return log.contains("rollcall-agent: watching ") && log.contains("the deploy endpoint listens")
                && log.contains("the deploy socket listens")
        } explanation: {
            program.withLock { $0.errors }
        }
    }

    func restart() async throws {
        let old = program.withLock { $0 }
        await old.stop()
        let new = try ChildProcess(built("rollcall-agent"), words)
        program.withLock { $0 = new }
        try await isReady()
    }

    var socket: String { folder.path + "/deploy.sock" }
    var log: String { program.withLock { $0.errors } }
    var password: String { folder.path + "/password" }
    var wrongPassword: String { folder.path + "/wrong" }

    /// As --agents has it.
    var name: String { certificates == nil ? "\(address):\(port)" : "https://\(address):\(port)" }

    /// The options with which it is asked.
    var options: [String] { Self.options(name, password, certificates) }

    static func options(_ names: String, _ password: String, _ certificates: Certificates?) -> [String] {
        ["--agents", names, "--agents-user", "deploy", "--agents-password-file", password]
            + (certificates.map { ["--agents-ca", $0.authority] } ?? [])
    }

    /// Asks its endpoint as any program may: `curl` with these words behind it.
    func curl(_ path: String, _ words: String..., login: String? = "deploy:battery staple") async throws -> ChildProcess.End {
        let scheme = certificates == nil ? "http" : "https"
        return try await ChildProcess.run(
            "/usr/bin/curl",
            ["--silent", "--max-time", "20"] + (certificates.map { ["--cacert", $0.authority] } ?? [])
                + (login.map { ["--basic", "--user", $0] } ?? []) + words + ["\(scheme)://\(address):\(port)\(path)"])
    }

    /// Asks for all of these at once, with the answers' heads.
    func curl(all paths: [String]) async throws -> [ChildProcess.End] {
        try await withThrowingTaskGroup(of: (Int, ChildProcess.End).self) { group in
            for (index, path) in paths.enumerated() { group.addTask { (index, try await self.curl(path, "--include")) } }
            var ends: [(Int, ChildProcess.End)] = []
            for try await end in group { ends.append(end) }
            return ends.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    /// What a script gets that polls for the token.
    func carried(_ path: String = "/about/deploy/web") async throws -> String { try await curl(path).output }

    /// Waits for what its endpoint has to answer.
    func answers(_ body: String, at path: String = "/about/deploy/web") async throws {
        nonisolated(unsafe) var last = ""
        try await eventually("\(path) answers \(body)") {
            last = try await carried(path)
            return last == body
        } explanation: {
            "\(last)\n\(log)"
        }
    }
}

/// An authority and a certificate by it.
struct Certificates: Sendable {
    let folder: TemporaryFolder
    var authority: String { "\(folder.path)/ca.pem" }
    var certificate: String { "\(folder.path)/server.pem" }
    var key: String { "\(folder.path)/server.key" }

    /// - Parameter names: `DNS:localhost,IP:127.0.0.1`
    init(for names: String = "IP:127.0.0.1,IP:127.0.0.2") async throws {
        folder = try TemporaryFolder()
        try folder.write("subjectAltName=\(names)\nextendedKeyUsage=serverAuth\n", to: "extensions")
        let made = try await ChildProcess.run(
            "/bin/sh",
            [
                "-ec",
                """
                cd "$0"
                new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
                openssl req -x509 $new -keyout ca.key -out ca.pem -days 2 -subj "/CN=test authority" \
                    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
                openssl req $new -keyout server.key -out server.csr -subj /CN=server
                openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.pem
                """, folder.path,
            ])
        try #require(made.status == 0, "\(made.errors)")
    }
}

/// A port of loopback that nobody has at this moment.
func freePort(at address: String = "127.0.0.1") throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_addr.s_addr = inet_addr(address)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &place) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0 }
    }
    try #require(isBound)
    return Int(UInt16(bigEndian: place.sin_port))
}

/// Runs verify-token with notes of its own.
struct Desk: Sendable {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    func run(_ words: [String], environment: [String: String] = [:], prefix: [String] = []) async throws -> ChildProcess.End {
        let words = prefix + [built("verify-token")] + words
        let quiet = ["XDG_STATE_HOME": folder.path, "SUDO_USER": "anna", "GITHUB_ACTIONS": "", "ROLLCALL_SOCKET": "", "TERM": "dumb"]
        return try await ChildProcess.run(words[0], Array(words.dropFirst()), environment: quiet.merging(environment) { $1 }, within: .seconds(90))
    }

    /// Prepares a release of the service `web`. - Returns: the deploy's id.
    func prepare(_ release: String, _ words: [String], prefix: [String] = []) async throws -> String {
        let end = try await run(["prepare", "--service", "web", "--release", release, "--print", "id"] + words, prefix: prefix)
        try #require(end.status == 0, "\(end.text)")
        return end.output.trimmingCharacters(in: .newlines)
    }
}
