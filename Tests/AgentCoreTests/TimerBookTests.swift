@testable import AgentCore
import Platform
import Testing

@Suite struct TimerBookTests {
    private static let base = Timestamp(microseconds: 1_795_000_000_000_000)

    private func job(started: Int? = nil, due: Int? = nil, running: Bool = false, exit: ExitReason? = nil) -> DiscoveredJob {
        DiscoveredJob(
            name: "tidy.timer", unit: "tidy.service", lastStart: started.map { Self.base + .seconds($0) },
            nextDue: due.map { Self.base + .seconds($0) }, isRunning: running, lastExit: exit)
    }

    @Test func aRunThatFailsIsToldOnceAndItsNextGoodOneEndsIt() {
        var book = TimerBook()
        #expect(book.observe(job(due: 100)) == nil)
        #expect(book.observe(job(started: 100, due: 200, running: true)) == nil)
        let failed = JobBook.Outcome.failed("tidy.timer started tidy.service, which exited with status 3", isNews: true)
        #expect(book.observe(job(started: 100, due: 200, exit: .exited(status: 3))) == failed)
        #expect(book.observe(job(started: 100, due: 300, exit: .exited(status: 3))) == nil)
        let again = JobBook.Outcome.failed("tidy.timer started tidy.service, which exited with status 4", isNews: false)
        #expect(book.observe(job(started: 200, due: 300, exit: .exited(status: 4))) == again)
        let ran = JobBook.Outcome.ran("tidy.timer started tidy.service, which ended well")
        #expect(book.observe(job(started: 300, due: 400, exit: .exited(status: 0))) == ran)
        #expect(book.observe(job(started: 400, due: 500, exit: .exited(status: 0))) == nil)
    }

    @Test func whatIsNotStartedInTimeIsToldOnce() {
        var book = TimerBook()
        _ = book.observe(job(due: 100))
        #expect(book.judge(at: Self.base + .seconds(100) + TimerBook.grace).isEmpty)
        let late = Self.base + .seconds(101) + TimerBook.grace
        #expect(book.judge(at: late).map(\.job) == ["tidy.timer"])
        #expect(book.judge(at: late + .seconds(60)).isEmpty)
        let ran = JobBook.Outcome.ran("tidy.timer started tidy.service, which ended well")
        #expect(book.observe(job(started: 600, due: 700, exit: .exited(status: 0))) == ran)
    }

    @Test func aTimerThatIsGoneIsForgotten() {
        var book = TimerBook()
        _ = book.observe(job(due: 100))
        book.gone("tidy.timer")
        #expect(book.judge(at: Self.base + .seconds(10_000)).isEmpty)
    }
}
