import AgentAPI
import AgentCore
import Foundation
import Platform
import TestKit
import Testing

@testable import AgentTalker

/// A small disk of its own: a tmpfs in a mount namespace that ends with the child that holds it. Its files are seen through `/proc`.
private struct SmallDisk {
    private let child: ChildProcess
    let path: String

    init(bytes: Int) async throws {
        let script = "mount -t tmpfs -o size=\(bytes) none /mnt && echo ready && exec cat"
        child = try ChildProcess("/usr/bin/unshare", ["-m", "--propagation", "private", "/bin/sh", "-c", script])
        path = "/proc/\(child.pid)/root/mnt"
        let (child, path) = (child, path)
        try await eventually {
            guard kill(child.pid, 0) == 0 else { throw Unexpected("the small disk is gone") }
            var status = statvfs()
            return statvfs(path, &status) == 0 && Int(status.f_blocks) * Int(status.f_frsize) == bytes
        }
    }

    /// Leaves no room.
    func fill() throws {
        let descriptor = open("\(path)/filler", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Unexpected("no filler: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        let zeros = [UInt8](repeating: 0, count: 4096)
        while write(descriptor, zeros, zeros.count) > 0 {}
    }

    func empty() { unlink("\(path)/filler") }

    func end() async { await child.stop() }
}

@Suite("A full disk under the spool") struct FullDiskTests {
    private let log = LogRecorder()

    @Test("events that find no room are counted and told; all others arrive once and in order; nothing already written is harmed")
    func full() async throws {
        let disk = try await SmallDisk(bytes: 256 << 10)
        let state = "\(disk.path)/state"
        var numbers: [UInt64] = []
        var refused = 0
        do {
            let spool = try Spool(folder: state, bounds: .init(total: 64 << 20, segment: 16 << 10), at: startOfTime, logger: log.logger)
            for number in 1...100 { numbers += [try #require(spool.append(event("before \(number)"), at: startOfTime))] }
            try disk.fill()
            for number in 1...200 {
                if let given = spool.append(event("while full \(number)"), at: startOfTime) { numbers += [given] } else { refused += 1 }
            }
            #expect(refused > 50)
            #expect(log.count("events are being lost") == 1)
            disk.empty()
            let told = try #require(spool.append(event("after"), at: startOfTime))
            #expect(told == numbers[numbers.count - 1] + 2)
        }
        // Another life of the agent finds the same.
        let spool = try Spool(folder: state, at: startOfTime, logger: log.logger)
        let events = spool.pending(count: 1000, bytes: 64 << 20, at: startOfTime)
        #expect(events.map(\.sequence) == Array(1...UInt64(numbers.count + 2)))
        let lost = events[events.count - 2]
        #expect(lost.kind == .eventsLost && lost.detail.hasPrefix("lost \(refused) events"))
        #expect(lost.detail.contains("No space left on device"))
        #expect(events.last?.detail == "after")
        await disk.end()
    }

    @Test("an agent on a full disk goes on to report, and tells what it lost when there is room")
    func talker() async throws {
        let disk = try await SmallDisk(bytes: 256 << 10)
        let aggregator = try FakeAggregator()
        let configuration = TalkerConfiguration(
            host: "app-1", version: "1", interval: .milliseconds(1), reportInterval: .milliseconds(1), stateFolder: "\(disk.path)/state",
            aggregator: .init(address: try AggregatorAddress(parsing: "http://127.0.0.1:\(aggregator.port)"), token: Secret("the-token")))
        let talker = try Talker(configuration: configuration, logger: log.logger)
        try disk.fill()
        talker.update(snapshot())
        for number in 1...300 { talker.record(event("\(number)")) }
        try await eventually { log.count("an event is lost") > 100 }
        talker.update(snapshot([Sample("cpu", 7)]))
        try await eventually { aggregator.requests.last?.state?.units.first?.samples == [Sample("cpu", 7)] }
        disk.empty()
        talker.record(event("after"))
        try await eventually { aggregator.stored.last?.detail == "after" }
        let lost = log.count("an event is lost")
        let tellings = aggregator.stored.filter { $0.kind == .eventsLost }
        #expect(tellings.count == 1 && tellings[0].detail.hasPrefix("lost \(lost) events"))
        #expect(aggregator.stored.count == 300 - lost + 2)
        #expect(aggregator.stored.map(\.sequence) == Array(1...UInt64(aggregator.stored.count)))
        talker.stop()
        aggregator.stop()
        await disk.end()
    }
}
