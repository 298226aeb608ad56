// Which deploys are known, and which may begin.

import AgentAPI
import Platform
import TestKit
import Testing

@testable import DeployVerification

private let start = Timestamp(seconds: 1_800_000_000)

func baseline(pid: Int32 = 11) -> Baseline {
    let listener = ServiceListener(inode: 7, address: .tcp(address: "127.0.0.1", port: 8080))
    let process = ServiceProcess(
        mark: ProcessMark(pid: pid, startTicks: 5, generation: .vector(random: 1, sysinfo: 2)), parent: 1, command: "puma", state: 83, listeners: [7],
        folder: FolderMark(device: 1, inode: 2), folderPath: "/srv/1")
    return Baseline(ServiceLook(at: .seconds(9), listeners: [listener], processes: [process]), answers: [], token: "t", boot: "b")
}

private func preparation(
    _ id: String, service: String = "web", token: String = "9b2f91ea9b2f91ea", release: String = "/srv/2", takesOver: Bool = false
) -> DeployPreparation {
    DeployPreparation(
        id: id, service: service, token: token, release: release,
        question: TokenQuestion(path: "/about/deploy", user: "u", password: Secret("pass word")),
        takesOver: takesOver, person: "ann")
}

@Suite struct DeployBookTests {
    @Test func oneDeployOfAServiceIsUnderWayAtATime() {
        var book = DeployBook()
        #expect(book.refusal(of: preparation("d-1"), at: start) == nil)
        _ = book.add(preparation("d-1"), baseline(), at: start)
        let refusal = book.refusal(of: preparation("d-2"), at: start + .seconds(60))
        #expect(refusal?.kind == .underWay && refusal?.status == 409)
        #expect(refusal?.description.contains("d-1 of web by ann") == true)
        #expect(book.refusal(of: preparation("d-1"), at: start) == nil)
        #expect(book.refusal(of: preparation("d-2", service: "api"), at: start) == nil)
        #expect(book.refusal(of: preparation("d-2", takesOver: true), at: start) == nil)
        #expect(book.add(preparation("d-2", takesOver: true), baseline(), at: start) == ["d-1"])
        #expect(book.entry("d-1") == nil)
    }

    @Test func oneReleaseHasOneToken() {
        let other = String(repeating: "ab", count: 16)
        var book = DeployBook()
        _ = book.add(preparation("d-1"), baseline(), at: start)
        let jobs = preparation("d-2", service: "jobs", token: other)
        let refusal = book.refusal(of: jobs, at: start)
        #expect(refusal?.kind == .releaseInUse && refusal?.status == 423)
        #expect(refusal?.description.contains("deploy d-1 of web by ann, which is under way") == true)
        #expect(refusal?.description.contains("--force") == true)
        // With one token for both, and in another release, it may.
        #expect(book.refusal(of: preparation("d-2", service: "jobs"), at: start) == nil)
        let elsewhere = preparation("d-2", service: "jobs", token: other, release: "/srv/current")
        #expect(book.refusal(of: elsewhere, at: start) == nil)
        #expect(book.refusal(of: elsewhere, at: start, { _, _ in true })?.kind == .releaseInUse)
        // A deploy that is over, or that nothing was heard of for half an hour, needs its token no more.
        #expect(book.refusal(of: jobs, at: start + .seconds(1801)) == nil)
        var judged = book
        judged.change("d-1") { $0.outcome = HostDeploy(service: "web", host: "h", state: .verified, isFinal: true, since: start, evidence: "none") }
        #expect(judged.refusal(of: jobs, at: start) == nil)
        // A deploy that takes over ends all that the new token spoils, and nothing else.
        _ = book.add(preparation("d-3", service: "api", release: "/srv/3"), baseline(), at: start)
        _ = book.add(preparation("d-4", service: "cron"), baseline(), at: start)
        let forced = preparation("d-2", service: "jobs", token: other, takesOver: true)
        #expect(book.refusal(of: forced, at: start) == nil)
        #expect(book.add(forced, baseline(), at: start).sorted() == ["d-1", "d-4"])
        #expect(book.entries.map(\.preparation.id) == ["d-3", "d-2"])
    }

    @Test func aDeployThatNobodyChecksIsOverAfterHalfAnHour() {
        var book = DeployBook()
        _ = book.add(preparation("d-1"), baseline(), at: start)
        #expect(book.refusal(of: preparation("d-2"), at: start + .seconds(1799)) != nil)
        #expect(book.refusal(of: preparation("d-2"), at: start + .seconds(1801)) == nil)
        book.change("d-1") { $0.checks = 1 }
        #expect(book.refusal(of: preparation("d-2"), at: start + .seconds(1801)) != nil)
    }

    @Test func aDeployThatIsOverMakesRoom() {
        var book = DeployBook()
        _ = book.add(preparation("d-1"), baseline(), at: start)
        book.change("d-1") { $0.outcome = HostDeploy(service: "web", host: "h", state: .stale, isFinal: true, since: start, evidence: "none") }
        #expect(book.refusal(of: preparation("d-2"), at: start) == nil)
        _ = book.add(preparation("d-2"), baseline(), at: start)
        #expect(book.entries.map(\.preparation.id) == ["d-1", "d-2"])
    }

    @Test func thereIsRoomForFiftyAndForADay() {
        var book = DeployBook()
        for number in 0..<50 { _ = book.add(preparation("d-\(number)", service: "s\(number)"), baseline(), at: start) }
        #expect(book.refusal(of: preparation("d-99"), at: start)?.kind == .tooMany)
        _ = book.add(preparation("d-99"), baseline(), at: start + .seconds(3600))
        #expect(book.entries.count == 50 && book.entry("d-99") != nil)
        #expect(book.expire(at: start + .seconds(90_000)).count == 49)
        #expect(book.entries.map(\.preparation.id) == ["d-99"])
    }

    @Test func theBookComesBackFromDiskWithWhatWasMissed() throws {
        var book = DeployBook()
        _ = book.add(preparation("d-1"), baseline(), at: start)
        _ = book.add(preparation("d-2", service: "api"), baseline(), at: start)
        book.change("d-1") { $0.outcome = HostDeploy(service: "web", host: "h", state: .verified, isFinal: true, since: start, evidence: "none") }
        let text = book.json.text
        #expect(!text.contains("pass word"))
        var again = DeployBook()
        #expect(again.restore(try JSON(parsing: text), resumed: "the agent was away", at: start + .seconds(9)) == [])
        #expect(again.entries.map(\.missed) == [[], ["the agent was away"]])
        #expect(again.entry("d-2")?.baseline == book.entry("d-2")?.baseline)
        #expect(again.entry("d-1")?.outcome?.state == .verified)
        #expect(!again.restore(try JSON(parsing: #"{"deploys":[{}]}"#), resumed: "", at: start).isEmpty)
    }
}
