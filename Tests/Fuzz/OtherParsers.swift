// What the aggregator and verify-token take from outside.

@testable import AggregatorCore
import CheckKinds
import Checks
@testable import Dashboard
@testable import DeployVerification
import Transfer

let otherParsers: [String: @Sendable ([UInt8]) -> Void] = [
    "aggregator-configuration": { bytes in
        _ = try? AggregatorConfiguration(parsing: bytes, file: "f", kinds: kinds, stateDirectory: "/")
    },
    "deploy-answer": { bytes in
        for status in [200, 401] { _ = Evidence(status: status, body: bytes, expecting: token).words }
    },
    "form": { bytes in _ = FormFields(parsing: bytes)["name"] },
    "password-hash": { _ = PasswordHash(String(decoding: $0, as: UTF8.self)) },
    "url": { _ = try? Endpoint.parse(String(decoding: $0, as: UTF8.self)) },
    "web-path": { _ = Route(path: String(decoding: $0, as: UTF8.self))?.path },
]

private let token = DeployToken()
private let kinds: [CheckKind] = (try? Transfers()).map { checkKinds(transfers: $0) } ?? []
