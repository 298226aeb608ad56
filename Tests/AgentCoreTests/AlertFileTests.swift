import AgentAPI
@testable import AgentCore
import Platform
import TestKit
import Testing

@Suite struct AlertFileTests {
    private let now = Moment(wall: Timestamp("2026-11-21T03:00:00Z")!, uptime: .seconds(5))

    private func resumed(_ bytes: [UInt8]) throws -> (desk: AlertDesk, faults: Int) {
        var desk = AlertDesk(host: "web1", routes: [nil, "ops"], aggregatorPatience: .seconds(300), at: now)
        let faults = desk.resume(from: try JSON(parsing: bytes), at: now)
        return (desk, faults)
    }

    @Test func aFileIsReadAsItWasWritten() throws {
        for seed in Mutations.seeds("alert-file") {
            let (desk, faults) = try resumed(seed)
            #expect(faults == 0)
            #expect(try resumed(desk.json.bytes).desk.json == desk.json)
        }
    }

    @Test func whatIsNotUnderstoodIsCountedAndTheRestIsKept() throws {
        let text = """
            {"version":1,"last_id":"x","problems":[{"event":{"kind":"unit_down"},"told":true},7],"outbox":[{"alert":{}},{"alert":{"id":5,
            "subject":"s","body":"b","events":[],"host":"h","at":"2026-11-21T02:59:00Z"},"attempts":-3}],"gathering":[{"events":[1],"notes":[{}]}]}
            """
        let (desk, faults) = try resumed(Array(text.utf8))
        #expect(faults == 4)
        #expect(desk.outbox.entries.map(\.alert.id) == [5] && desk.outbox.lastID == 5)
        #expect(try resumed(Array("{\"version\":2}".utf8)).faults == 1)
    }

    @Test func aDamagedFileNeverStopsTheAgent() {
        Mutations.run(seeds: Mutations.seeds("alert-file")) { bytes in
            guard var desk = try? resumed(bytes).desk else { return }
            _ = desk.due(at: Moment(wall: now.wall + .seconds(10), uptime: .seconds(15)))
            _ = desk.nextTime(at: now)
        }
    }
}
