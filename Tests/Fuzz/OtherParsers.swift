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
    "doctor-configuration": { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        var unit = UnitFile()
        unit.read(text, file: "u")
        unit.readUpstart(text, file: "u")
        for kind in ["puma", "unicorn", "gunicorn", "uwsgi", "nginx", "sidekiq"] {
            let process = DoctorService.Process(pid: 7, arguments: [kind], folder: "/a/releases/1")
            let service = (try? JSON(parsing: bytes)).flatMap { try? DoctorService($0) }
            var facts = DoctorFacts(service ?? DoctorService(name: "web", mainProcess: 7, processes: [process]))
            if service == nil, text.contains("ExecStart") { facts.unit = unit }
            for path in facts.wantedFiles { facts.files[path] = .text(text) }
            _ = DoctorReport(host: "h", facts: facts, isLocal: true, hasAsked: false).lines
        }
    },
    "form": { bytes in _ = FormFields(parsing: bytes)["name"] },
    "password-hash": { _ = PasswordHash(String(decoding: $0, as: UTF8.self)) },
    "url": { _ = try? Endpoint.parse(String(decoding: $0, as: UTF8.self)) },
    "web-path": { _ = Route(path: String(decoding: $0, as: UTF8.self))?.path },
]

private let token = DeployToken()
private let kinds: [CheckKind] = (try? Transfers()).map { checkKinds(transfers: $0) } ?? []
