// `/api/v1/services/NAME/deploys/...`: where scripts prepare and verify deploys on all hosts of a service.

import AgentAPI
import AggregatorCore
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Platform
import ServiceLifecycle

/// Relays to the agents for who has a script's token.
struct RelayAPI: Sendable {
    let tokens: any ScriptTokenStoring
    let relay: DeployRelay
    let logger: Logger

    init(tokens: any ScriptTokenStoring, relay: DeployRelay, logger: Logger) {
        self.tokens = tokens
        self.relay = relay
        self.logger = logger
    }

    func answer(
        _ verb: Route.RelayVerb, _ service: String, _ request: Request, _ channel: any Channel, at now: Moment
    ) async throws(StoreError) -> Response {
        guard let token = bearerToken(request), let script = try await tokens.scriptToken(digest: digest(token), scope: .deploys) else {
            return DeploysAPI.unknownToken
        }
        do {
            let body = try await self.body(of: request)
            logger.info("a script asks for a relay", metadata: ["script": "\(script)", "service": "\(service)", "verb": "\(verb.rawValue)"])
            switch verb {
            case .prepare: return answer(try await relay.prepare(try DeployPreparation(body), of: service))
            case .cancel:
                guard let deploy = body["deploy_id"]?.string, deploy.utf8.count <= 100 else {
                    return DeploysAPI.refusal(.badRequest, "deploy_id is missing")
                }
                return answer(try await relay.cancel(deploy, of: service))
            case .verify: return verify(try await relay.begin(try DeployCheck(body), of: service), request, channel)
            }
        } catch let error as StoreError {
            throw error
        } catch is NIOTooManyBytesError {
            return DeploysAPI.refusal(.contentTooLarge, "the request is larger than \(DeployLimits.request) bytes")
        } catch {
            return DeploysAPI.refusal(.badRequest, "\(error)")
        }
    }

    private func body(of request: Request) async throws -> JSON {
        try JSON(parsing: Array(try await request.body.collect(upTo: DeployLimits.request).readableBytesView), maximumDepth: 8)
    }

    private func answer(_ result: Result<[RelayedPreparation], RelayRefusal>) -> Response {
        switch result {
        case .success(let hosts): DeploysAPI.json(.ok, ["hosts": .array(hosts.map(\.json))])
        case .failure(let refusal): self.refusal(refusal)
        }
    }

    /// A line for each state. It ends whole only when all hosts are final: of half an answer the connection breaks.
    private func verify(_ result: Result<DeployRelay.Checking, RelayRefusal>, _ request: Request, _ channel: any Channel) -> Response {
        let checking: DeployRelay.Checking
        switch result {
        case .success(let begun): checking = begun
        case .failure(let refusal): return self.refusal(refusal)
        }
        let relay = relay
        return Response(
            status: .ok, headers: [.contentType: "application/x-ndjson", .cacheControl: "no-store", .init("X-Accel-Buffering")!: "no"],
            body: ResponseBody { writer in
                try await withGracefulShutdownHandler {
                    try await relay.run(checking) { state in
                        try await writer.write(ByteBuffer(bytes: state.json.bytes + [10]))
                    }
                } onGracefulShutdown: {
                    channel.close(promise: nil)
                }
                try await writer.finish(nil)
            })
    }

    private func refusal(_ refusal: RelayRefusal) -> Response {
        switch refusal {
        case .unknownService, .noHost: return DeploysAPI.refusal(.notFound, refusal.description)
        case .tooManyHosts, .hasLogin: return DeploysAPI.refusal(.badRequest, refusal.description)
        case .busy:
            var response = DeploysAPI.refusal(.tooManyRequests, refusal.description)
            response.headers[.retryAfter] = "5"
            return response
        }
    }
}
