@testable import AgentCore
import Platform
import RuleLanguage
import Testing

@Suite struct JobBookTests {
    private let place = Place(line: 1, column: 1)
    private let start = Timestamp(seconds: 1_800_000_000)

    private func book(_ job: Job) -> JobBook {
        var book = JobBook { _, after in Timestamp(seconds: (after.seconds / 86_400 + 1) * 86_400) }
        book.change([job], at: start)
        return book
    }

    private func judge(_ book: inout JobBook, after seconds: Int64) -> [JobBook.Outcome] {
        book.judge(at: start + .seconds(seconds)).map(\.outcome)
    }

    @Test func anOverdueJobIsToldOnceAndWhenItRanAgain() {
        var jobs = book(Job(name: "sync", schedule: .every(.seconds(300)), place: place))
        #expect(judge(&jobs, after: 360) == [])
        #expect(judge(&jobs, after: 361) == [.overdue("sync happens every 5 minutes, and it has never been heard of")])
        #expect(judge(&jobs, after: 900) == [])
        let ran = jobs.done("sync", status: 0, at: start + .seconds(1000))
        #expect(ran == .ran("sync ended well"))
        #expect(judge(&jobs, after: 1360) == [])
        #expect(judge(&jobs, after: 1361).count == 1)
    }

    @Test func aJobMayHaveItsOwnGraceAndALongestRun() {
        var jobs = book(Job(name: "sync", schedule: .every(.seconds(300)), grace: .seconds(10), longestRun: .seconds(60), place: place))
        jobs.started("sync", at: start + .seconds(300))
        #expect(judge(&jobs, after: 360) == [])
        #expect(judge(&jobs, after: 361) == [.overdue("sync began 2027-01-15T08:05:00Z and has not ended within 60 s")])
        #expect(judge(&jobs, after: 5000) == [])
        let ran = jobs.done("sync", status: 0, at: start + .seconds(5000))
        #expect(ran == .ran("sync ended well after 78 min"))
    }

    @Test func failuresInARowAreNewsOnce() {
        var jobs = book(Job(name: "sync", schedule: .every(.seconds(300)), place: place))
        let outcomes = [1, 1, 0, 0].map { jobs.done("sync", status: $0, at: start) }
        #expect(
            outcomes == [
                .failed("sync ended with status 1", isNews: true), .failed("sync ended with status 1", isNews: false), .ran("sync ended well"), nil,
            ])
    }

    @Test func aCronJobIsOverdueAfterItsTimeAndGrace() {
        let nightly = CronExpression(minutes: [0], hours: [0], daysOfMonth: nil, months: Set(1...12), daysOfWeek: nil, text: "0 0 * * *")
        var jobs = book(Job(name: "backup", schedule: .cron(nightly), grace: .seconds(1800), place: place))
        let midnight = Timestamp(seconds: (start.seconds / 86_400 + 1) * 86_400)
        let early = jobs.judge(at: midnight + .seconds(1800))
        let late = jobs.judge(at: midnight + .seconds(1801))
        #expect(early.isEmpty && late.count == 1)
    }

    @Test(arguments: [-86_400, -300, 300, 86_400]) func aClockThatIsSetMakesNoJobEarlierOrLater(step: Int64) {
        var jobs = book(Job(name: "sync", schedule: .every(.seconds(300)), place: place))
        jobs.follow(Moment(wall: start, uptime: .seconds(50)))
        jobs.follow(Moment(wall: start + .seconds(100 + step), uptime: .seconds(150)))
        #expect(judge(&jobs, after: 360 + step) == [])
        #expect(judge(&jobs, after: 361 + step).count == 1)
    }

    @Test func whatIsKnownSurvivesAndWhatIsNonsenseDoesNot() throws {
        let job = Job(name: "sync", schedule: .every(.seconds(300)), place: place)
        var jobs = book(job)
        _ = judge(&jobs, after: 400)
        var next = JobBook { _, _ in nil }
        next.restore(try JSON(parsing: jobs.json.text), at: start + .seconds(500))
        next.change([job], at: start + .seconds(500))
        #expect(next.records == jobs.records)
        // It was told before.
        #expect(next.judge(at: start + .seconds(600)).isEmpty)
        var odd = JobBook { _, _ in nil }
        odd.restore(["sync": ["first_known": "2999-01-01T00:00:00Z"], "x": [3]], at: start)
        odd.change([job], at: start)
        #expect(odd.records["sync"]?.firstKnown == start)
    }
}
