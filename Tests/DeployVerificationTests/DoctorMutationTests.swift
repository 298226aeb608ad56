// Whatever configurations, units and agents say: doctor judges it, in words for people.

import Platform
import TestKit
import Testing

@testable import DeployVerification

@Suite struct DoctorMutationTests {
    @Test func brokenConfigurationsAndAnswersGiveFindingsInWords() {
        let kinds = [["puma"], ["unicorn"], ["gunicorn"], ["uwsgi"], ["nginx"], ["sidekiq"]]
        var count = 0
        Mutations.run(seeds: Mutations.seeds("doctor-configuration")) { bytes in
            count += 1
            for finding in doctorFindings(bytes, title: kinds[count % kinds.count]) where finding.problem.utf8.contains(where: { $0 < 32 }) {
                Issue.record("not for people: \(finding)")
            }
        }
    }
}

/// What doctor makes of bytes that stand for everything that it reads.
private func doctorFindings(_ bytes: [UInt8], title: [String]) -> [DoctorFinding] {
    let text = String(decoding: bytes, as: UTF8.self)
    let broken = (try? JSON(parsing: bytes)).flatMap { try? DoctorService($0) }
    var facts = DoctorFacts(
        broken ?? DoctorService(name: "web", mainProcess: 7, processes: [.init(pid: 7, arguments: title, folder: "/a/releases/1")]))
    if broken == nil, text.contains("[Service]") || text.contains("exec ") {
        var unit = UnitFile()
        if text.contains("[") { unit.read(text, file: "u") } else { unit.readUpstart(text, file: "u") }
        facts.unit = unit
    }
    for path in facts.wantedFiles { facts.files[path] = .text(text) }
    for path in facts.wantedPaths { facts.realPaths[path] = path }
    return Doctor.findings(facts)
}
