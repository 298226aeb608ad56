// `POST /v1/reports`: where agents report.

import AgentAPI
import AggregatorCore
import Compression
import Hummingbird
import Logging
import NIOCore
import Platform

/// Takes a report from an agent that has a token, and answers what it may forget.
struct ReportsAPI: Sendable {
    let tokens: any AgentTokenStoring
    let ingest: any ReportIngesting
    let logger: Logger

    func answer(_ request: Request, at now: Timestamp) async throws(StoreError) -> Response {
        guard let token = bearerToken(request), let name = try await tokens.agentToken(digest: digest(token)) else {
            var response = refusal(.unauthorized, "unknown token: make one on the dashboard under Hosts, Add a host")
            response.headers[.wwwAuthenticate] = "Bearer"
            return response
        }
        let isPacked: Bool
        switch request.headers[.contentEncoding]?.lowercased() {
        case nil, "identity": isPacked = false
        case "gzip": isPacked = true
        default:
            var response = refusal(.unsupportedMediaType, "reports are taken as they are or packed with gzip")
            response.headers[.acceptEncoding] = "gzip"
            return response
        }
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > ReportLimits.bytes { return tooLarge }
        let body: ByteBuffer
        do {
            body = try await request.body.collect(upTo: ReportLimits.bytes)
        } catch is NIOTooManyBytesError {
            return tooLarge
        } catch {
            return refusal(.badRequest, "the report ended too early")
        }
        let report: Report
        do {
            let bytes = Array(body.readableBytesView)
            report = try Report(try JSON(parsing: isPacked ? gunzip(bytes, limit: ReportLimits.bytes) : bytes))
        } catch GzipError.tooLarge {
            return tooLarge
        } catch {
            logger.notice("report refused", metadata: ["error": "\(error)"])
            return refusal(.badRequest, "\(error)")
        }
        switch try await ingest.ingest(report, token: name, at: now) {
        case .taken(let acknowledgement): return json(.ok, acknowledgement.json)
        case .tokenOfAnother(let host):
            return refusal(
                .forbidden, "this token belongs to the agent on \(host), which reports: make another on the dashboard under Hosts, Add a host")
        }
    }

    /// The answer when the store fails: the agent keeps its report and tries again.
    static let storeFailed = json(.serviceUnavailable, ["error": "the aggregator cannot store reports at present; try again"])

    private var tooLarge: Response { refusal(.contentTooLarge, "the report is larger than \(ReportLimits.bytes) bytes") }

    private func refusal(_ status: HTTPResponse.Status, _ problem: String) -> Response { json(status, ["error": .string(problem)]) }
}

private func json(_ status: HTTPResponse.Status, _ value: JSON) -> Response {
    Response(
        status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: value.bytes)))
}
