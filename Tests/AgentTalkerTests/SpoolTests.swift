import AgentAPI
import Foundation
import Logging
import Platform
import TestKit
import Testing

@testable import AgentTalker

@Suite struct SpoolTests {
    private let folder: TemporaryFolder
    private let log = LogRecorder()

    init() throws { folder = try TemporaryFolder() }

    private func open(_ bounds: Spool.Bounds = .init()) throws -> Spool {
        try Spool(folder: folder.path, bounds: bounds, at: startOfTime, logger: log.logger)
    }

    private func all(_ spool: Spool) -> [Event] { spool.pending(count: .max, bytes: .max, at: startOfTime) }

    private func segments() throws -> [String] { try folder.names(in: "spool") }

    private func onlySegment() throws -> String { "\(folder.path)/spool/\(try #require(try segments().first))" }

    @Test func numbersStartAtOneAndHaveNoGaps() throws {
        let spool = try open()
        #expect(spool.agent.utf8.count == 32)
        #expect((1...5).map { spool.append(event("\($0)"), at: startOfTime) } == [1, 2, 3, 4, 5])
        #expect(all(spool).map(\.sequence) == [1, 2, 3, 4, 5])
        #expect(all(spool).map(\.detail) == ["1", "2", "3", "4", "5"])
    }

    @Test func whatWasAppendedIsThereAfterAKill() throws {
        var spool: Spool? = try open()
        let agent = spool?.agent
        for number in 1...3 { spool?.append(event("\(number)"), at: startOfTime) }
        // No farewell: what a kill leaves is what write(2) has taken.
        spool = nil
        let again = try open()
        #expect(again.agent == agent)
        #expect(all(again).map(\.detail) == ["1", "2", "3"])
        #expect(again.append(event("4"), at: startOfTime) == 4)
    }

    @Test func numbersGoOnAfterEverythingWasDelivered() throws {
        var spool: Spool? = try open()
        for number in 1...3 { spool?.append(event("\(number)"), at: startOfTime) }
        spool?.acknowledge(3, at: startOfTime)
        #expect(spool?.isEmpty == true)
        #expect(try segments() == ["00000000000000000004.events"])
        spool = nil
        let again = try open()
        #expect(again.isEmpty)
        #expect(again.append(event("4"), at: startOfTime) == 4)
    }

    @Test func aPrefixCanBeAcknowledged() throws {
        let spool = try open()
        for number in 1...10 { spool.append(event("\(number)"), at: startOfTime) }
        #expect(spool.pending(count: 4, bytes: .max, at: startOfTime).map(\.sequence) == [1, 2, 3, 4])
        spool.acknowledge(4, at: startOfTime)
        #expect(all(spool).map(\.sequence) == Array(5...10))
        spool.acknowledge(6, at: startOfTime)
        #expect(all(spool).map(\.sequence) == Array(7...10))
        spool.acknowledge(2, at: startOfTime)
        #expect(all(spool).map(\.sequence) == Array(7...10))
    }

    @Test func aBatchIsBoundedByBytesButNeverEmpty() throws {
        let spool = try open()
        for _ in 1...10 { spool.append(event(String(repeating: "x", count: 1000)), at: startOfTime) }
        #expect(spool.pending(count: .max, bytes: 4000, at: startOfTime).count == 3)
        #expect(spool.pending(count: .max, bytes: 10, at: startOfTime).count == 1)
    }

    @Test func deliveredSegmentsAreRemoved() throws {
        let spool = try open(.init(total: 1 << 20, segment: 2000))
        for _ in 1...50 { spool.append(event(String(repeating: "x", count: 300)), at: startOfTime) }
        let before = try segments().count
        #expect(before > 5)
        spool.acknowledge(25, at: startOfTime)
        #expect(try segments().count < before / 2 + 2)
        #expect(all(spool).map(\.sequence) == Array(26...50))
        spool.acknowledge(50, at: startOfTime)
        #expect(try segments() == ["00000000000000000051.events"])
    }

    @Test func aTornLastLineLosesItsNumberAndSaysSo() throws {
        var spool: Spool? = try open()
        for number in 1...3 { spool?.append(event("\(number)"), at: startOfTime) }
        spool = nil
        var content = try Data(contentsOf: URL(fileURLWithPath: onlySegment()))
        content.removeLast(20)
        try content.write(to: URL(fileURLWithPath: onlySegment()))
        for _ in 1...2 {  // mended for good: the second time finds nothing to mend
            let again = try open()
            #expect(all(again).map(\.sequence) == [1, 2, 4])
            #expect(all(again).last?.kind == .eventsLost)
            #expect(all(again).last?.detail == "the spool was damaged: lost events 3")
            again.close(at: startOfTime)
        }
        #expect(try open().append(event("5"), at: startOfTime) == 5)
    }

    @Test func damagedLinesInTheMiddleAreNamed() throws {
        var spool: Spool? = try open()
        for number in 1...6 { spool?.append(event("\(number)"), at: startOfTime) }
        spool = nil
        var lines = try String(contentsOfFile: onlySegment(), encoding: .utf8).split(separator: "\n").map(String.init)
        lines[1] = lines[1].replacingOccurrences(of: "\"2\"", with: "\"7\"")
        lines[2] = "rubbish"
        lines[4] = String(repeating: "\0", count: 80)
        try folder.write(lines.joined(separator: "\n") + "\n", to: "spool/\(segments()[0])")
        let again = try open()
        #expect(all(again).map(\.sequence) == [1, 4, 6, 7])
        #expect(all(again).last?.detail == "the spool was damaged: lost events 2 to 3, 5")
    }

    @Test func damageThatIsFoundWhileItRunsIsMendedToo() throws {
        let spool = try open()
        for number in 1...4 { spool.append(event("\(number)"), at: startOfTime) }
        let handle = try #require(FileHandle(forUpdatingAtPath: onlySegment()))
        try handle.seek(toOffset: 20)
        try handle.write(contentsOf: Data("XXXX".utf8))
        try handle.close()
        #expect(all(spool).map(\.sequence) == [2, 3, 4, 5])
        #expect(all(spool).last?.kind == .eventsLost)
        #expect(spool.append(event("6"), at: startOfTime) == 6)
        #expect(all(spool).map(\.sequence) == [2, 3, 4, 5, 6])
    }

    @Test func aLostSpoolMeansANewAgent() throws {
        var spool: Spool? = try open()
        let agent = spool?.agent
        spool?.append(event("1"), at: startOfTime)
        spool = nil
        try FileManager.default.removeItem(atPath: "\(folder.path)/spool")
        let again = try open()
        #expect(again.agent != agent)
        #expect(log.lines.last { $0.message == "the agent has a new id" }?.metadata["why"] == "the spool is gone")
        #expect(again.append(event("1"), at: startOfTime) == 1)
    }

    @Test(arguments: ["", "0123", "not an id at all, but long enough", "0123456789ABCDEF0123456789ABCDEF"])
    func aDamagedIdMeansANewAgentThatKeepsWhatWaits(_ content: String) throws {
        var spool: Spool? = try open()
        let agent = spool?.agent
        spool?.append(event("1"), at: startOfTime)
        spool = nil
        try folder.write(content, to: "agent-id")
        let again = try open()
        #expect(again.agent != agent)
        #expect(again.agent.utf8.count == 32)
        #expect(all(again).map(\.sequence) == [1])
    }

    @Test func twoAgentsCannotShareAFolder() throws {
        let spool = try open()
        #expect(throws: FileError(path: folder.path, problem: "is in use by another agent")) { try open() }
        spool.close(at: startOfTime)
        _ = try open()
    }

    @Test func aFullSpoolRefusesTheNewestAndSaysHowMany() throws {
        let spool = try open(.init(total: 5000, segment: 1000))
        var kept: UInt64 = 0
        while let number = spool.append(event(String(repeating: "x", count: 200)), at: startOfTime) { kept = number }
        for second in 1...9 { #expect(spool.append(event("y" + String(repeating: "x", count: 200)), at: startOfTime + .seconds(second)) == nil) }
        #expect(all(spool).map(\.sequence) == Array(1...kept))
        #expect(log.count("events are being lost") == 1)

        spool.acknowledge(kept / 2, at: startOfTime + .seconds(10))
        #expect(spool.append(event("new"), at: startOfTime + .seconds(11)) == kept + 2)
        let after = all(spool)
        #expect(after.map(\.sequence) == Array((kept / 2 + 1)...(kept + 2)))
        #expect(after.dropLast().last?.kind == .eventsLost)
        #expect(
            after.dropLast().last?.detail
                == "lost 10 events between 2026-11-21T03:00:00.000Z and 2026-11-21T03:00:09.000Z: the spool is full (5000 bytes)")
        #expect(after.last?.detail == "new")
    }

    @Test func whatWasRefusedIsNotForgottenAtTheEnd() throws {
        let spool = try open(.init(total: 2000, segment: 1000))
        while spool.append(event(String(repeating: "x", count: 200)), at: startOfTime) != nil {}
        spool.close(at: startOfTime)
        let again = try open()
        #expect(all(again).last?.kind == .eventsLost)
    }

    @Test func textsAreClippedToWhatAReportMayCarry() throws {
        let spool = try open()
        spool.append(event(String(repeating: "ü", count: 5000), unit: String(repeating: "\u{1}", count: 5000)), at: startOfTime)
        let kept = try #require(all(spool).first)
        #expect(kept.detail.utf8.count == 4096)
        #expect(kept.unit?.utf8.count == 4096)
    }

    @Test func filesOfOthersAreLeftAlone() throws {
        try folder.write("mine", to: "spool/README")
        try folder.write("", to: "spool/0.events")
        let spool = try open()
        #expect(spool.append(event("1"), at: startOfTime) == 1)
        #expect(try segments().contains("README"))
    }

    @Test func aSegmentThatCannotBeReadIsSetAside() throws {
        var spool: Spool? = try open()
        spool?.append(event("1"), at: startOfTime)
        spool = nil
        let path = try onlySegment()
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let again = try open()
        #expect(all(again).map(\.kind) == [.eventsLost])
        #expect(try segments().contains { $0.hasSuffix(".damaged") })
    }

    @Test func aNewIdentityKeepsWhatWaits() throws {
        var spool: Spool? = try open()
        let agent = spool?.agent
        spool?.append(event("1"), at: startOfTime)
        spool?.takeNewIdentity()
        let new = spool?.agent
        #expect(new != agent)
        spool = nil
        let again = try open()
        #expect(again.agent == new)
        #expect(all(again).map(\.sequence) == [1])
    }

    /// Whatever happens to the files: no crash, no event that was not recorded, no number twice, and a spool that works.
    @Test func thousandsOfDamagedSpoolsAreSurvived() async throws {
        var random = Reproducible(seed: 1)
        var original: [String: Data] = [:]
        var spool: Spool? = try open(.init(total: 1 << 20, segment: 1500))
        for number in 1...20 { spool?.append(event("\(number)"), at: startOfTime) }
        spool = nil
        for name in try segments() { original["spool/\(name)"] = try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/spool/\(name)")) }
        original["agent-id"] = try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/agent-id"))
        let quiet = Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() }

        for round in 0..<2000 {
            await Task.yield()  // two threads run all tests
            let copy = "\(folder.path)/round"
            try? FileManager.default.removeItem(atPath: copy)
            try FileManager.default.createDirectory(atPath: "\(copy)/spool", withIntermediateDirectories: true)
            var files = original
            for _ in 0...Int.random(in: 0...2, using: &random) { mutate(&files, &random) }
            for (name, content) in files { try content.write(to: URL(fileURLWithPath: "\(copy)/\(name)")) }

            let damaged = try Spool(folder: copy, bounds: .init(total: 1 << 20, segment: 1500), at: startOfTime, logger: quiet)
            let events = damaged.pending(count: .max, bytes: .max, at: startOfTime)
            let numbers = events.map(\.sequence)
            #expect(numbers == numbers.sorted() && Set(numbers).count == numbers.count, "round \(round): \(numbers)")
            for event in events where event.kind != .eventsLost {
                #expect(event.detail == "\(event.sequence)" || files.count > original.count, "round \(round): \(event)")
            }
            let next = try #require(damaged.append(event("new"), at: startOfTime))
            #expect(next > numbers.last ?? 0)
            #expect(damaged.pending(count: .max, bytes: .max, at: startOfTime).last?.detail == "new")
            damaged.close(at: startOfTime)
            let again = try Spool(folder: copy, bounds: .init(total: 1 << 20, segment: 1500), at: startOfTime, logger: quiet)
            #expect(again.pending(count: .max, bytes: .max, at: startOfTime).count == events.count + 1, "round \(round): mended once and for all")
            again.close(at: startOfTime)
        }
    }

    private func mutate(_ files: inout [String: Data], _ random: inout Reproducible) {
        guard let name = files.keys.sorted().randomElement(using: &random), var content = files[name] else { return }
        let at = content.isEmpty ? 0 : Int.random(in: 0..<content.count, using: &random)
        switch Int.random(in: 0..<8, using: &random) {
        case 0: content.removeLast(content.count - at)
        case 1 where !content.isEmpty: content[at] ^= UInt8(1 << Int.random(in: 0..<8, using: &random))
        case 2 where !content.isEmpty: content[at] = UInt8.random(in: 0...255, using: &random)
        case 3: content.removeSubrange(at..<min(content.count, at + Int.random(in: 1...300, using: &random)))
        case 4:
            content.insert(
                contentsOf: Data((0..<Int.random(in: 1...50, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }), at: at)
        case 5: content.append(content[at...])
        case 6: content = Data(repeating: 0, count: content.count)
        default:
            files[name] = nil
            return
        }
        files[name] = content
    }
}

/// The same numbers in every run (SplitMix64).
struct Reproducible: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
