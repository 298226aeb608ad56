// Whatever stands in the aggregator's configuration, or is told of a deploy: it is read, or every fault has its words.

import AgentAPI
import Platform
import TestKit
import Testing

@testable import AggregatorCore

@Suite struct ConfigurationMutationTests {
    @Test func noConfigurationMakesItsReaderCrash() {
        var read = 0
        Mutations.run(seeds: Mutations.seeds("aggregator-configuration")) { bytes in
            do throws(Faults) {
                _ = try AggregatorConfiguration(parsing: bytes, file: "f", kinds: [ConfigurationTests.kind], stateDirectory: "/state")
                read += 1
            } catch {
                for fault in error.all where fault.line < 1 || fault.column < 1 || fault.message.isEmpty { Issue.record("a fault nowhere: \(fault)") }
            }
        }
        #expect(read > 30)
    }
}

@Suite struct DeployMutationTests {
    @Test func whatIsKeptOfADeployCanBeReadAgain() {
        var kept = 0
        Mutations.run(seeds: Mutations.seeds("deploy-record")) { bytes in
            guard let record = try? DeployRecord(JSON(parsing: bytes)).checked() else { return }
            kept += 1
            _ = DeployLine(record)
            if (try? DeployRecord(JSON(parsing: record.json.text)).checked().id) != record.id { Issue.record("\(record) is not read back") }
        }
        #expect(kept > 30)
    }
}
