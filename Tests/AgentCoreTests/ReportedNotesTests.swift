import AgentAPI
@testable import AgentCore
import Platform
import RuleLanguage
import TestKit
import Testing

/// What reports say of silences and jobs.
@Suite struct ReportedNotesTests {
    @Test func silencesSayWhomTheyCoverAndUntilWhen() throws {
        let bed = try AgentBed([.init(name: "puma"), .init(name: "redis")], cycle: .seconds(15))
        bed.start()
        bed.systemd.runs("puma")
        bed.systemd.runs("redis", pid: 200)
        bed.cycle()
        #expect(bed.sink.snapshots.last?.silences == [])
        let began = Timestamp(seconds: bed.time.now().wall.seconds)
        #expect(bed.ask(.startDeploy(units: ["pu*"], owner: "ada", reason: "v2", length: .seconds(600))).isGood)
        #expect(bed.ask(.stopMonitoring(units: [], reason: nil, length: nil)).isGood)
        bed.cycle()
        let deploy = Silence(
            kind: .deploy, subject: "pu*", units: ["puma.service"], owner: "ada", reason: "v2", since: began, until: began + .seconds(600))
        let host = Silence(kind: .unmonitored, subject: nil, units: [], owner: "bob", reason: nil, since: began, until: nil)
        #expect(bed.sink.snapshots.last?.silences == [deploy, host])
        #expect(deploy.covers("puma.service") && !deploy.covers("redis.service") && host.covers("redis.service"))
        // It goes on for its grace.
        #expect(bed.ask(.finishDeploy(units: [], owner: "ada")).isGood)
        #expect(bed.ask(.resumeMonitoring(units: [])).isGood)
        bed.cycle(after: .seconds(1))
        #expect(bed.sink.snapshots.last?.silences.map(\.kind) == [.deploy])
        bed.cycle()
        #expect(bed.sink.snapshots.last?.silences == [])
    }

    @Test func jobsSayHowTheyAre() throws {
        let job = Job(name: "sync", schedule: .every(.seconds(60)), place: Place(line: 1, column: 1))
        let bed = try AgentBed([], cycle: .seconds(15), jobs: [job], timers: [.init(pattern: "*")])
        bed.start()
        func shown() -> [String] { (bed.sink.snapshots.last?.jobs ?? []).map { "\($0.name) \($0.schedule): \($0.state) \($0.detail)" } }
        bed.cycle()
        #expect(shown() == ["sync \(job.schedule.text): waiting "])
        _ = bed.ask(.jobStarted(name: "sync"))
        bed.cycle()
        #expect(shown() == ["sync \(job.schedule.text): running "])
        _ = bed.ask(.jobDone(name: "sync", exitStatus: 3))
        bed.agent.job(
            DiscoveredJob(
                name: "tidy.timer", unit: "tidy.service", lastStart: bed.time.now().wall, nextDue: nil, isRunning: false,
                lastExit: .exited(status: 1)))
        bed.cycle()
        #expect(
            shown() == [
                "sync \(job.schedule.text): failed it ended with status 3",
                "tidy.timer starts tidy.service: failed tidy.service exited with status 1",
            ])
        _ = bed.ask(.jobDone(name: "sync", exitStatus: 0))
        bed.cycle(after: .seconds(200))
        #expect(shown().first == "sync \(job.schedule.text): overdue it should have been heard of")
    }
}
