// `/api/v1/deploys`: where scripts tell of deploys, and programs read them.

import AgentAPI
import AggregatorCore
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Platform
import Synchronization

/// Files deploys for who has a script's token, and reads them to who has one or is logged in.
struct DeploysAPI: Sendable {
    /// Of one token in a minute.
    static let mostFilingsAMinute = 60
    static let mostLines = 500

    let store: any DeployStoring & ScriptTokenStoring
    let intake: any DeployTaking
    let publicURL: String
    let logger: Logger
    private let rate = FilingRate()

    init(store: any DeployStoring & ScriptTokenStoring, intake: any DeployTaking, publicURL: String, logger: Logger) {
        self.store = store
        self.intake = intake
        self.publicURL = publicURL
        self.logger = logger
    }

    /// The name of the script whose token the request shows.
    func script(_ request: Request) async throws(StoreError) -> String? {
        guard let token = bearerToken(request) else { return nil }
        return try await store.scriptToken(digest: digest(token), scope: .deploys)
    }

    func file(_ request: Request, at now: Moment) async throws(StoreError) -> Response {
        guard let script = try await script(request) else { return Self.unknownToken }
        guard rate.allows(script, at: now.uptime) else {
            var response = Self.refusal(.tooManyRequests, "more than \(Self.mostFilingsAMinute) deploys in a minute: wait a little")
            response.headers[.retryAfter] = "60"
            return response
        }
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > DeployLimits.record { return Self.tooLarge }
        let body: ByteBuffer
        do {
            body = try await request.body.collect(upTo: DeployLimits.record)
        } catch is NIOTooManyBytesError {
            return Self.tooLarge
        } catch {
            return Self.refusal(.badRequest, "the deploy ended too early")
        }
        let record: DeployRecord
        do {
            record = try DeployRecord(try JSON(parsing: Array(body.readableBytesView))).checked()
        } catch {
            // Its words name members and never what stands in them.
            logger.notice("deploy refused", metadata: ["script": "\(script)", "error": "\(error)"])
            return Self.refusal(.badRequest, "\(error)")
        }
        switch try await intake.take(record, at: now.wall) {
        case .filed, .known: return Self.json(.ok, ["url": .string(publicURL + Route.deploy(record.id).path)])
        case .taken: return Self.refusal(.conflict, "another deploy is kept as \(record.id), and a deploy that is kept never changes")
        }
    }

    func list(_ request: Request) async throws(StoreError) -> Response {
        let parameters = request.uri.queryParameters
        var limit = 50
        if let text = parameters["limit"] {
            guard let number = Int(text), (1...Self.mostLines).contains(number) else {
                return Self.refusal(.badRequest, "limit is not a number from 1 to \(Self.mostLines)")
            }
            limit = number
        }
        let lines = try await store.deploys(parameters["service"].map { .service(String($0)) } ?? .all, limit: limit)
        return Self.json(.ok, ["deploys": .array(lines.map { line(of: $0) })])
    }

    func read(_ id: String) async throws(StoreError) -> Response {
        guard let record = try await store.deploy(id) else { return Self.refusal(.notFound, "there is no deploy of that id") }
        return Self.json(.ok, record.json)
    }

    private func line(of deploy: DeployLine) -> JSON {
        var members: [JSON.Member] = [
            .init("deploy_id", .string(deploy.id)), .init("service", .string(deploy.service)), .init("verdict", .string(deploy.verdict.rawValue)),
            .init("exit_code", .integer(Int64(deploy.verdict.exitCode))), .init("began", .string(deploy.began.text())),
            .init("ended", .string(deploy.ended.text())), .init("person", JSON(deploy.person)), .init("revision", JSON(deploy.revision)),
        ]
        if let availability = deploy.availability {
            members.append(
                .init(
                    "probe",
                    [
                        "requests": .integer(Int64(availability.requests)), "failed": .integer(Int64(availability.failed)),
                        "longest_stall_ms": .integer(availability.longestStall.microseconds / 1000),
                    ]))
        }
        members.append(.init("url", .string(publicURL + Route.deploy(deploy.id).path)))
        return .object(members)
    }

    // MARK: Answers

    /// The answer when the store fails: a script tries again.
    static let storeFailed = refusal(.serviceUnavailable, "the aggregator's database does not answer at present; try again")
    static let notFound = refusal(.notFound, "there is nothing at this address")

    static var unknownToken: Response {
        var response = refusal(.unauthorized, "unknown token: make one on the dashboard under Deploys, Tokens")
        response.headers[.wwwAuthenticate] = "Bearer"
        return response
    }

    static func wrongMethod(allowed: String) -> Response {
        var response = refusal(.methodNotAllowed, "this address answers \(allowed)")
        response.headers[.allow] = allowed
        return response
    }

    private static var tooLarge: Response { refusal(.contentTooLarge, "the deploy is larger than \(DeployLimits.record) bytes") }

    static func refusal(_ status: HTTPResponse.Status, _ problem: String) -> Response { json(status, ["problem": .string(problem)]) }

    static func json(_ status: HTTPResponse.Status, _ value: JSON) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: value.bytes)))
    }
}

/// How often each script may file: as many at once as in a minute, and then as they come back.
private final class FilingRate: Sendable {
    private let filings = Mutex<[String: [Duration]]>([:])

    func allows(_ script: String, at now: Duration) -> Bool {
        filings.withLock { filings in
            filings = filings.compactMapValues { times in
                let recent = times.filter { now - $0 < .seconds(60) }
                return recent.isEmpty ? nil : recent
            }
            guard filings[script, default: []].count < DeploysAPI.mostFilingsAMinute else { return false }
            filings[script, default: []].append(now)
            return true
        }
    }
}
