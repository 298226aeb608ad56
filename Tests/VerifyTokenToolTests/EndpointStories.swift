// The agent's own endpoint, as scripts that poll for the token know it; and releases that mean harm to it.

import AgentAPI
import Foundation
import Platform
import TestKit
import Testing

private let token = "00112233445566778899aabbccddeeff"
private let other = "ffeeddccbbaa99887766554433221100"

@Suite(.timeLimit(.minutes(5))) struct EndpointStories {
    /// Each with a service and an agent of its own, and all at once: they wait more than they work.
    @Test func theEndpointSaysWhatTheWorkersCarryWhateverTheirReleases() async throws {
        async let story1: Void = everyWordIsToldAsTheServiceComesToIt()
        async let story2: Void = aRubyScriptThatPollsIsSatisfied()
        async let story3: Void = aTokenThatCameAfterTheWorkersProvesNothing()
        async let story4: Void = hostileReleasesGiveNothingAwayAndHoldNothingUp()
        _ = try await (story1, story2, story3, story4)
    }

    private func everyWordIsToldAsTheServiceComesToIt() async throws {
        let service = try await TwoWorkers(token: token)
        let agent = try await RealAgent(services: ["web": "pidfile \"\(service.folder.path)/pid\", \(service.asks)"])
        try await agent.answers(token)

        // Byte for byte: the token and nothing behind it, and no way to keep the connection or the answer.
        let whole = try await agent.curl("/about/deploy/web", "--include").output
        let parts = whole.components(separatedBy: "\r\n\r\n")
        #expect(parts.last == token)
        var fields = parts[0].components(separatedBy: "\r\n")
        #expect(fields.removeFirst() == "HTTP/1.1 200 OK")
        fields.removeAll { $0.lowercased().hasPrefix("date:") }
        #expect(
            fields.map { $0.lowercased() }.sorted() == [
                "cache-control: no-store", "connection: close", "content-length: 32", "content-type: text/plain; charset=us-ascii",
                "x-deploy-state: verified; workers=2",
            ])
        // The one service has no need to be named.
        for path in ["/about/deploy", "/services/web/deploy", "/about/deploy/web?now"] { #expect(try await agent.carried(path) == token) }
        let head = try await agent.curl("/about/deploy", "--head").output
        #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n") && head.lowercased().contains("content-length: 32\r\n"))
        for (path, words) in [
            ("/about/deploy.json", []), ("/services/web/deploy.json", []), ("/about/deploy", ["--header", "Accept: application/json"]),
        ] {
            let end = try await ChildProcess.run(
                "/usr/bin/curl", ["--silent", "--user", "deploy:battery staple"] + words + ["http://127.0.0.1:\(agent.port)\(path)"])
            let host = try HostDeploy(try JSON(parsing: end.output))
            #expect(host.service == "web" && host.host == "app-1")
            #expect(host.processes.filter { $0.role == .worker }.map(\.tokenPrefix) == ["00112233", "00112233"])
            #expect(!end.output.contains(token))
        }
        let post = try await agent.curl("/about/deploy", "--request", "POST", "--include").output
        #expect(post.hasPrefix("HTTP/1.1 405 "))
        let stranger = try await agent.curl("/about/deploy", "--include", login: nil).output
        #expect(stranger.hasPrefix("HTTP/1.1 401 ") && stranger.lowercased().contains("www-authenticate: basic "))
        #expect(!stranger.contains(token))

        // What another release's file says is nobody's business before its workers run.
        try service.folder.write(other, to: "releases/2/TOKEN")
        try service.change(to: "2")
        #expect(try await agent.carried() == token)
        service.program.signal(SIGUSR1)
        try await agent.answers("mixed")
        let mixed = try await agent.curl("/about/deploy/web", "--include").output
        #expect(mixed.lowercased().contains("\r\nx-deploy-state: mixed; "))
        service.program.signal(SIGHUP)
        try await agent.answers(other)
        // A release without a token.
        _ = try service.release("3")
        try service.change(to: "3")
        service.restart()
        try await agent.answers("none")
        await service.program.stop()
        try await agent.answers("down")
        #expect(try await agent.carried("/about/deploy") == "down")
    }

    /// The article's own class: it compares with `==`, and takes no heed of the status.
    private func aRubyScriptThatPollsIsSatisfied() async throws {
        let certificates = try await Certificates()
        let service = try await TwoWorkers(token: token)
        let agent = try await RealAgent(
            services: ["web": "pidfile \"\(service.folder.path)/pid\", \(service.asks)"], certificates: certificates)
        let script = """
            require "net/http"
            require "openssl"
            uri, password, authority, token = URI(ARGV[0]), *ARGV[1..3]
            deadline = Time.now + 20
            until Time.now > deadline
              answer = Net::HTTP.start(uri.host, uri.port, use_ssl: true, ca_file: authority) do |http|
                request = Net::HTTP::Get.new(uri)
                request.basic_auth("deploy", password)
                http.request(request)
              end
              if answer.body == token
                puts "Verified deploy is running"
                exit
              end
              sleep 0.2
            end
            abort answer.body.inspect
            """
        let end = try await ChildProcess.run(
            "/usr/bin/ruby", ["-e", script, "https://127.0.0.1:\(agent.port)/about/deploy", "battery staple", certificates.authority, token])
        #expect(end.status == 0, "\(end.text)")
        #expect(end.output == "Verified deploy is running\n")
    }

    /// Nobody asks its workers: what their release had at their birth is all that is known.
    private func aTokenThatCameAfterTheWorkersProvesNothing() async throws {
        let service = try await TwoWorkers(token: token)
        let agent = try await RealAgent(services: ["web": "pidfile \"\(service.folder.path)/pid\""])
        try await agent.answers(token)
        try service.folder.write(other, to: "releases/1/TOKEN")
        // What was seen once holds for as long as they run.
        #expect(try await agent.carried() == token)
        try await agent.restart()
        try await agent.answers("unproven")
        let asked = try await Desk().run(["doctor", "--service", "web", "--agent-socket", agent.socket, "--ask"])
        #expect(asked.output.contains("[no-endpoint]"), "\(asked.text)")
        // It is asked because `--ask` says so, at the usual path and nowhere else.
        let paths = try String(contentsOfFile: service.folder.path + "/asked", encoding: .utf8).split(separator: "\n")
        #expect(Set(paths) == ["/about/deploy"])
    }

    /// Whatever stands where TOKEN should be: the answer comes, says nothing of it, and the next question is answered too.
    private func hostileReleasesGiveNothingAwayAndHoldNothingUp() async throws {
        let service = try await TwoWorkers(token: nil)
        let agent = try await RealAgent(services: [
            "web": "pidfile \"\(service.folder.path)/pid\"", "good": "pidfile \"\(service.folder.path)/pid\", \(service.asks)",
        ])
        try await agent.answers("none")
        let secret = "5ec2e75ec2e75ec2e75ec2e75ec2e75e"
        let hidden = try service.folder.write(secret, to: "hidden/secret", mode: 0o600)
        let folder = service.folder.path + "/releases/1"
        let place = folder + "/TOKEN"
        let isRoot = geteuid() == 0
        let tricks: [(name: String, play: () throws -> Void)] = [
            ("a link out of the release", { try FileManager.default.createSymbolicLink(atPath: place, withDestinationPath: hidden) }),
            ("a link to itself", { try FileManager.default.createSymbolicLink(atPath: place, withDestinationPath: "TOKEN") }),
            (
                "a link to the agent's own memory",
                { try FileManager.default.createSymbolicLink(atPath: place, withDestinationPath: "/proc/self/environ") }
            ),
            ("a second name of a secret", { try FileManager.default.linkItem(atPath: hidden, toPath: place) }),
            ("a pipe", { try #require(mkfifo(place, 0o644) == 0) }),
            ("a device", { try #require(mknod(place, S_IFCHR | 0o644, 1 << 8 | 5) == 0 || !isRoot) }),
            ("a socket", { try Self.listen(at: place) }),
            ("a folder", { try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false) }),
            (
                "a sparse file of 1 GiB",
                {
                    let file = open(place, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
                    defer { close(file) }
                    try #require(file >= 0 && ftruncate(file, 1 << 30) == 0)
                }
            ),
            ("many lines", { try service.folder.write(String(repeating: secret + "\n", count: 100), to: "releases/1/TOKEN") }),
            ("what drives terminals", { try service.folder.write("\u{1b}[2J\r\nX-Deploy-State: verified\r\n\r\n" + token, to: "releases/1/TOKEN") }),
            ("a file that nobody may read", { try service.folder.write(secret, to: "releases/1/TOKEN", mode: 0) }),
            (
                "a stranger's file",
                {
                    try service.folder.write(secret, to: "releases/1/TOKEN", mode: 0o600)
                    if isRoot { try #require(chown(place, 12345, 12345) == 0) }
                }
            ),
        ]
        for trick in tricks {
            try? FileManager.default.removeItem(atPath: place)
            try trick.play()
            let paths = ["/about/deploy/web", "/about/deploy/web.json", "/v1/status/web", "/v1/status", "/v1/inspect/web"]
            for (path, end) in zip(paths, try await agent.curl(all: paths)) {
                #expect(end.status == 0 && end.output.hasPrefix("HTTP/1.1 200 "), "\(trick.name), \(path): \(end.status) \(end.text)")
                for piece in [secret, String(secret.prefix(8)), "\u{1b}", "PATH="] { #expect(!end.output.contains(piece), "\(trick.name), \(path)") }
                let body = end.output.components(separatedBy: "\r\n\r\n").last ?? ""
                if path == paths[0] { #expect(["none", "unproven"].contains(body), "\(trick.name): \(body)") }
            }
        }
        try? FileManager.default.removeItem(atPath: place)

        // Replaced all the time, by files and by links to a secret.
        let swapping = try ChildProcess(
            "/bin/sh",
            ["-c", "cd \"$0\"; while :; do printf %s \(token) > n; mv n TOKEN; ln -s \"$1\" n; mv n TOKEN; done", folder, hidden])
        for _ in 0..<3 {
            for end in try await agent.curl(all: Array(repeating: "/about/deploy/web", count: 5)) {
                let body = end.output.components(separatedBy: "\r\n\r\n").last ?? ""
                #expect(["none", "unproven"].contains(body), "\(body)")
            }
        }
        swapping.signal(SIGKILL)
        _ = try await swapping.end()

        // The folder itself goes.
        try FileManager.default.removeItem(atPath: folder)
        #expect(["none", "unproven"].contains(try await agent.carried()))
        let gone = try HostDeploy(try JSON(parsing: try await agent.carried("/about/deploy/web.json")))
        #expect(gone.processes.contains { $0.isFolderDeleted == true })
        #expect(!agent.log.contains(secret))
        #expect(try await agent.carried("/about/deploy/good") == "none")
    }

    private static func listen(at path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        try #require(bytes.count < MemoryLayout.size(ofValue: address.sun_path))
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        try #require(result == 0)
    }
}
