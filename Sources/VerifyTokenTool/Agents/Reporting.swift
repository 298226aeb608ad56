// Tells the aggregator how a deploy ended.

import AgentAPI
import Platform
import Transfer

/// A report that does not arrive changes no verdict.
func report(_ result: CheckResult, of way: AgentWay, with transfers: Transfers) async {
    guard way.aggregator != nil, let record = result.record else { return }
    do {
        guard let door = try way.aggregatorDoor() else { return }
        if let page = try await door.report(record, with: transfers) { Output.error("reported: \(page)") }
    } catch {
        Output.error("warning: the aggregator was not told of the deploy: \(error)")
    }
}
