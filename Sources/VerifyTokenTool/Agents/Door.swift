// One agent, or the aggregator that relays to many: how it is asked about deploys.

import AgentAPI
import DeployVerification
import Platform
import Transfer

/// Why an agent could not be asked, or what it said no to.
struct DoorError: Error, CustomStringConvertible, Sendable {
    enum Kind: Sendable {
        /// Nobody answers there: trying again may help.
        case unreachable
        /// It was asked, and what was asked makes no sense to it: trying again does not help.
        case refused(status: Int)
    }

    var kind: Kind
    var description: String

    var isWorthAnotherTry: Bool {
        switch kind {
        case .unreachable: true
        // Too many requests, or only starting.
        case .refused(let status): status == 429 || status == 503
        }
    }
}

/// What one host said to a preparation.
struct Preparation: Sendable {
    var host: String
    var prepared: Result<DeployPrepared, DoorError>
}

struct Door: Sendable {
    enum Way: Sendable {
        case socket(String)
        case agent(Endpoint, Credentials?)
        case aggregator(Endpoint, token: Secret)
    }

    static let defaultSocket = "/run/rollcall-agent/deploy.sock"
    static let defaultPort = 4677

    let way: Way
    let authorities: String?
    /// Which of the addresses behind its name is meant.
    private(set) var address: String?

    init(_ way: Way, authorities: String? = nil) {
        self.way = way
        self.authorities = authorities
    }

    /// The same doors, and for a name that stands for several hosts one for each of them.
    static func spread(_ doors: [Door]) async -> [Door] {
        await withTaskGroup(of: (Int, [Door]).self) { group in
            for (index, door) in doors.enumerated() { group.addTask { (index, await door.spread()) } }
            var all: [(Int, [Door])] = []
            for await part in group { all.append(part) }
            return all.sorted { $0.0 < $1.0 }.flatMap(\.1)
        }
    }

    private func spread() async -> [Door] {
        // A name without an address is tried as it is, and says so then.
        guard case .agent(let endpoint, _) = way, !endpoint.isLoopback,
            let addresses = try? await Addresses.of(endpoint.host, within: .seconds(5))
        else { return [self] }
        // One host may have an address of each family; two of one family are two hosts.
        let families = [addresses.filter { !$0.contains(":") }, addresses.filter { $0.contains(":") }]
        guard let hosts = families.first(where: { $0.count > 1 }) else { return [self] }
        return hosts.map { address in
            var door = self
            door.address = address
            return door
        }
    }

    /// What it is called until it has said its host's name.
    var name: String {
        switch way {
        case .socket: "this host"
        case .agent(let endpoint, _):
            (endpoint.port == Self.defaultPort ? endpoint.host : "\(endpoint.host):\(endpoint.port)") + (address.map { " at \($0)" } ?? "")
        case .aggregator(let endpoint, _): endpoint.host
        }
    }

    /// Whether behind it are many hosts.
    var isAggregator: Bool { if case .aggregator = way { true } else { false } }

    // MARK: Questions

    func prepare(_ preparation: DeployPreparation, with transfers: Transfers) async -> [Preparation] {
        do throws(DoorError) {
            if isAggregator {
                let body = preparation.json(withSecrets: false)
                let json = try await ask("POST", "/api/v1/services/\(escaped(preparation.service))/deploys/prepare", body, 45, transfers)
                return (json["hosts"]?.array ?? []).prefix(DeployLimits.hosts).map(answer)
            }
            let json = try await ask("POST", "/v1/prepare", preparation.json, 45, transfers)
            let prepared = try reading { () throws(RequestError) in try DeployPrepared(json) }
            return [Preparation(host: prepared.host, prepared: .success(prepared))]
        } catch {
            return [Preparation(host: name, prepared: .failure(error))]
        }
    }

    private func answer(_ json: JSON) -> Preparation {
        let host = json["host"]?.string ?? "a host"
        if let prepared = json["prepared"], prepared != .null, let read = try? DeployPrepared(prepared) {
            return Preparation(host: host, prepared: .success(read))
        }
        let problem = json["problem"]?.string ?? "did not answer"
        return Preparation(host: host, prepared: .failure(DoorError(kind: .refused(status: 0), description: oneLine(problem))))
    }

    /// Tells every state of every host behind it, until all are final or the answer ends.
    func verify(
        _ check: DeployCheck, within limit: Duration, with transfers: Transfers, _ each: @escaping @Sendable (HostDeploy) -> Void
    ) async throws(DoorError) {
        var path = "/v1/verify"
        if isAggregator {
            guard let service = check.service else {
                throw DoorError(kind: .refused(status: 400), description: "the aggregator must be told the service: --service NAME")
            }
            path = "/api/v1/services/\(escaped(service))/deploys/verify"
        }
        var check = check
        if isAggregator {
            check.question?.user = nil
            check.question?.password = nil
        }
        var request = try request("POST", path, check.json)
        request.deadline = limit
        // An agent gives a sign of life every 5 s.
        request.silence = .seconds(20)
        request.maximumBody = DeployLimits.state
        request.eachLine = { line in
            guard let json = try? JSON(parsing: line), let host = try? HostDeploy(json) else { return }
            each(host)
        }
        _ = try await answered(request, with: transfers)
    }

    /// Closes the windows of a deploy, and has it forgotten unless there is a verdict.
    func end(_ deploy: String, of service: String, with transfers: Transfers) async throws(DoorError) {
        let path = isAggregator ? "/api/v1/services/\(escaped(service))/deploys/cancel" : "/v1/cancel"
        _ = try await ask("POST", path, ["deploy_id": .string(deploy)], isAggregator ? 15 : 5, transfers)
    }

    /// What every worker carries now; of all services when none is named.
    func status(_ service: String?, with transfers: Transfers) async throws(DoorError) -> [HostDeploy] {
        guard !isAggregator else {
            throw DoorError(kind: .refused(status: 0), description: "the aggregator does not relay this question: use --agents or --agent-socket")
        }
        guard let service else {
            let json = try await ask("GET", "/v1/status", nil, 30, transfers)
            return try reading { () throws(RequestError) in
                var services: [HostDeploy] = []
                for one in (json["services"]?.array ?? []).prefix(1000) { services.append(try HostDeploy(one)) }
                return services
            }
        }
        let json = try await ask("GET", "/v1/status/\(escaped(service))", nil, 30, transfers)
        return [try reading { () throws(RequestError) in try HostDeploy(json) }]
    }

    /// Which question the workers of a service answer.
    func ask(_ order: AskingOrder, with transfers: Transfers) async throws(DoorError) -> AskingReport {
        guard !isAggregator else {
            throw DoorError(kind: .refused(status: 0), description: "the aggregator does not relay this question: use --agents or --agent-socket")
        }
        let json = try await ask("POST", "/v1/ask", order.json, 30, transfers)
        return try reading { () throws(RequestError) in try AskingReport(json) }
    }

    /// The facts about a service that `doctor` judges.
    func inspect(_ service: String, with transfers: Transfers) async throws(DoorError) -> JSON {
        guard !isAggregator else {
            throw DoorError(kind: .refused(status: 0), description: "the aggregator does not relay this question: use --agents or --agent-socket")
        }
        return try await ask("GET", "/v1/inspect/\(escaped(service))", nil, 30, transfers)
    }

    /// Tells the aggregator how a deploy ended.
    /// - Returns: where its page is.
    func report(_ record: DeployRecord, with transfers: Transfers) async throws(DoorError) -> String? {
        let json = try await ask("POST", "/api/v1/deploys", record.json, 15, transfers)
        return json["url"]?.string.map(oneLine)
    }

    // MARK: Requests

    private func ask(_ method: String, _ path: String, _ body: JSON?, _ seconds: Int, _ transfers: Transfers) async throws(DoorError) -> JSON {
        var request = try request(method, path, body)
        request.deadline = .seconds(seconds)
        request.maximumBody = DeployLimits.record
        let answer = try await answered(request, with: transfers)
        do { return try JSON(parsing: answer.body) } catch { throw strange("\(error)") }
    }

    private func request(_ method: String, _ path: String, _ body: JSON?) throws(DoorError) -> HTTPRequest {
        var request: HTTPRequest
        switch way {
        case .socket(let socket):
            request = HTTPRequest(try endpoint("http://localhost\(path)"))
            request.socket = socket
        case .agent(let endpoint, let login):
            request = HTTPRequest(try self.endpoint(base(endpoint) + path))
            request.credentials = login
        case .aggregator(let endpoint, let token):
            request = HTTPRequest(try self.endpoint(base(endpoint) + path))
            request.headers.append(("Authorization", "Bearer \(token.reveal())"))
        }
        request.method = method
        request.body = body?.bytes
        request.authorities = authorities
        request.address = address
        request.connectTimeout = .seconds(5)
        request.headers += [("User-Agent", "verify-token"), ("Accept", "application/json")]
        if body != nil { request.headers.append(("Content-Type", "application/json")) }
        return request
    }

    private func base(_ endpoint: Endpoint) -> String {
        endpoint.text.hasSuffix("/") ? String(endpoint.text.dropLast()) : endpoint.text
    }

    private func endpoint(_ text: String) throws(DoorError) -> Endpoint {
        do throws(EndpointError) { return try Endpoint.parse(text).0 } catch { throw DoorError(kind: .refused(status: 400), description: "\(error)") }
    }

    private func answered(_ request: HTTPRequest, with transfers: Transfers) async throws(DoorError) -> HTTPResponse {
        let answer: HTTPResponse
        do throws(TransferError) { answer = try await transfers.http(request) } catch { throw explained(error) }
        guard answer.status != 200 else { return answer }
        let said = (try? JSON(parsing: answer.body)).flatMap { ($0["problem"] ?? $0["error"])?.string }.map(oneLine)
        switch answer.status {
        case 401, 403: throw DoorError(kind: .refused(status: answer.status), description: said ?? "access denied (\(answer.status))\(loginHelp)")
        default: throw DoorError(kind: .refused(status: answer.status), description: said ?? "status \(answer.status)")
        }
    }

    private var loginHelp: String {
        switch way {
        case .socket: ""
        case .agent: ": check --agents-user and --agents-password-file"
        case .aggregator: ": check --aggregator-token-file; the token must allow deploys"
        }
    }

    private func explained(_ error: TransferError) -> DoorError {
        switch (way, error.kind) {
        case (.socket(let path), .connectionRefused), (.socket(let path), .couldNotConnect):
            return DoorError(
                kind: .unreachable,
                description: "no agent answers at \(path): is it running, and may you open its socket? (\(error.detail))")
        case (_, .badRequest), (_, .untrusted): return DoorError(kind: .refused(status: 0), description: error.detail)
        default: return DoorError(kind: .unreachable, description: error.detail)
        }
    }

    private func reading<Value>(_ read: () throws(RequestError) -> Value) throws(DoorError) -> Value {
        do throws(RequestError) { return try read() } catch { throw strange(error.problem) }
    }

    private func strange(_ why: String) -> DoorError {
        DoorError(kind: .refused(status: 0), description: "does not answer like a Rollcall agent: \(why)")
    }

    /// As a part of a path.
    private func escaped(_ name: String) -> String {
        var text = ""
        for byte in name.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122, 45, 46, 95, 126: text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += "%" + hex([byte]).uppercased()
            }
        }
        return text
    }
}

/// What another side said, without what could drive a terminal or break a line.
func oneLine(_ text: String) -> String {
    String(
        String.UnicodeScalarView(
            text.unicodeScalars.prefix(2000).map { scalar in
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: " "
                default: scalar
                }
            }))
}
