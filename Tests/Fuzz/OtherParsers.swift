// What the aggregator and verify-token take from outside.

import AgentAPI
@testable import AggregatorCore
import CheckKinds
import Checks
@testable import Dashboard
@testable import DeployVerification
import Platform
import Transfer

let otherParsers: [String: @Sendable ([UInt8]) -> Void] = [
    "aggregator-configuration": { bytes in
        _ = try? AggregatorConfiguration(parsing: bytes, file: "f", kinds: kinds, stateDirectory: "/")
    },
    "deploy-answer": { bytes in
        for status in [200, 401] { _ = Evidence(status: status, body: bytes, expecting: token).words }
    },
    "deploy-record": { bytes in
        if let record = try? DeployRecord(JSON(parsing: bytes)).checked() { _ = DeployLine(record) }
    },
    "form": { bytes in _ = FormFields(parsing: bytes)["name"] },
    "password-hash": { _ = PasswordHash(String(decoding: $0, as: UTF8.self)) },
    "url": { _ = try? Endpoint.parse(String(decoding: $0, as: UTF8.self)) },
    "web-path": { _ = Route(path: String(decoding: $0, as: UTF8.self))?.path },
]

private let token = DeployToken()
private let kinds: [CheckKind] = (try? Transfers()).map { checkKinds(transfers: $0) } ?? []
