// Whatever stands in the aggregator's configuration: it is read, or every fault has its place.

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
        #expect(read > 1000)
    }
}
