import DaemonMetrics
import Testing

/// What goes wrong with every kind alike: it is down, silent, closes, or is something else.
@Suite struct BadDaemonTests {
    struct Kind: CustomTestStringConvertible, Sendable {
        var word: String
        var metric: String
        /// What half an answer begins with.
        var beginning: String
        var testDescription: String { word }

        func parameters(_ port: Int) -> [String: String] {
            switch word {
            case "json": ["url": "http://127.0.0.1:\(port)/x"]
            case "mysql", "mariadb", "postgresql": ["hostname": "127.0.0.1", "port": "\(port)", "password": "secret-word"]
            default: ["hostname": "127.0.0.1", "port": "\(port)"]
            }
        }
    }

    static let half = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"
    static let kinds = [
        Kind(word: "redis", metric: "used_memory", beginning: "$1000\r\n# Server\r\nredis_version"),
        Kind(word: "memcached", metric: "threads", beginning: "STAT pid 1\r\nSTAT thr"),
        Kind(word: "mysql", metric: "Queries", beginning: "J\u{0}\u{0}\u{0}\u{0A}5.5"),
        Kind(word: "mariadb", metric: "Queries", beginning: "J\u{0}\u{0}\u{0}\u{0A}5.5"),
        Kind(word: "nginx", metric: "accepts", beginning: half),
        Kind(word: "postgresql", metric: "commits", beginning: "R\u{0}\u{0}"),
        Kind(word: "php-fpm", metric: "accepted_conn", beginning: "\u{1}\u{6}\u{0}\u{1}\u{0}\u{20}\u{0}\u{0}Status"),
        Kind(word: "haproxy", metric: "errors", beginning: "# pxname,svname,qcur\nweb,FRONT"),
        Kind(word: "memstats", metric: "Alloc", beginning: half),
        Kind(word: "prometheus", metric: "up", beginning: half),
        Kind(word: "json", metric: "a", beginning: half),
    ]

    @Test(arguments: kinds)
    func aDaemonThatIsDownIsRefused(kind: Kind) async throws {
        let port = try closedPort()
        let problem = try await problem(kind.word, kind.parameters(port), [kind.metric])
        #expect(problem.hasPrefix("\(kind.word) at "), "\(problem)")
        #expect(problem.contains("127.0.0.1:\(port)"), "\(problem)")
        #expect(problem.lowercased().contains("refused") || problem.contains("(111)") || problem.contains("Can't connect"), "\(problem)")
        #expect(problem.hasSuffix("does it run, and listen there?"), "\(problem)")
    }

    @Test(arguments: kinds)
    func aDaemonThatSaysNothingEndsWithTheDeadline(kind: Kind) async throws {
        let server = try BadServer(says: "", closes: false)
        defer { server.stop() }
        let problem = try await problem(kind.word, kind.parameters(server.port), [kind.metric], deadline: .milliseconds(200))
        #expect(problem.contains("has not come within 0.2 s") || problem.contains("no answer within") || problem.contains("in time"), "\(problem)")
    }

    @Test(arguments: kinds)
    func aDaemonThatClosesAtOnceIsToldSo(kind: Kind) async throws {
        let server = try BadServer(says: "")
        defer { server.stop() }
        let problem = try await problem(kind.word, kind.parameters(server.port), [kind.metric])
        #expect(problem.contains("clos") || problem.contains("ended") || problem.contains("Lost connection"), "\(problem)")
    }

    @Test(arguments: kinds)
    func aDaemonThatClosesInTheMiddleIsToldSo(kind: Kind) async throws {
        let server = try BadServer(says: kind.beginning)
        defer { server.stop() }
        let problem = try await problem(kind.word, kind.parameters(server.port), [kind.metric])
        #expect(!problem.hasPrefix("(no problem"), "\(problem)")
        #expect(problem.contains("clos") || problem.contains("Lost connection") || problem.contains("before"), "\(problem)")
    }

    @Test(arguments: kinds)
    func somethingElseIsShown(kind: Kind) async throws {
        let server = try BadServer(
            says: "220 mail.example.com ESMTP \u{1B}[31m ready, and much more to say than anybody would want to read\r\n\r\n\r\n")
        defer { server.stop() }
        let problem = try await problem(kind.word, kind.parameters(server.port), [kind.metric], deadline: .seconds(2))
        #expect(!problem.hasPrefix("(no problem"), "\(problem)")
        #expect(problem.utf8.allSatisfy { $0 >= 32 && $0 < 127 }, "\(problem)")
        #expect(!problem.contains("secret-word"))
        if ["redis", "memcached", "php-fpm", "haproxy"].contains(kind.word) {
            #expect(problem.contains("\"220 mail.example.com ESMTP .[31m ready, and much more to say\"..."), "\(problem)")
        }
    }

    @Test func aPasswordThatTheDaemonRepeatsIsNotShown() async throws {
        let server = try BadServer(says: "-ERR no such password: secret-word\r\n")
        defer { server.stop() }
        let problem = try await problem("redis", ["hostname": "127.0.0.1", "port": "\(server.port)", "password": "secret-word"], ["used_memory"])
        #expect(problem.hasSuffix("it refuses AUTH: \"ERR no such password: (secret)\""), "\(problem)")
    }

    @Test(arguments: ["redis", "postgresql", "memcached"])
    func aNameWithoutAddressIsToldSo(word: String) async throws {
        let problem = try await problem(word, ["hostname": "nowhere.invalid"], ["x", "commits"].suffix(1))
        #expect(problem.contains("nowhere.invalid") && problem.hasSuffix("the name has no address: is it spelled right?"), "\(problem)")
    }

    @Test(arguments: [("redis", "/no/such/socket"), ("php-fpm", "/no/such/socket"), ("haproxy", "/no/such/socket"), ("mysql", "/no/such/socket")])
    func aSocketThatIsNotThereIsToldSo(word: String, path: String) async throws {
        let problem = try await problem(word, ["socket": path], ["x"])
        #expect(problem.hasPrefix("\(word) at \(path): "), "\(problem)")
        #expect(problem.contains("does it run"), "\(problem)")
    }
}
