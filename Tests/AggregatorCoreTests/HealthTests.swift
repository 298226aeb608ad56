import Platform
import TestKit
import Testing

@testable import AggregatorCore

@Suite struct HealthTests {
    let now = World.start
    let quiet = OutboxBacklog(waiting: 0, oldestFailing: nil, refused: 0)
    var well = VitalSigns(
        schedulerAge: .seconds(1), lateness: .seconds(1), deliveryAge: .seconds(1), storeAge: .seconds(1), storeHasProblem: false)

    @Test func everythingWell() {
        #expect(
            well.health(quiet, at: now)
                == Health(isRunning: true, lines: ["scheduler: on time", "database: takes writes", "delivery: nothing waits"]))
    }

    @Test mutating func aSchedulerThatStandsStillOrIsLateIsNotRunning() {
        well.schedulerAge = .seconds(61)
        #expect(well.health(quiet, at: now).lines[0] == "scheduler: stands still for 1 min 1 s")
        well.schedulerAge = .seconds(1)
        well.lateness = .seconds(31)
        #expect(!well.health(quiet, at: now).isRunning)
        well.schedulerAge = nil
        #expect(!well.health(quiet, at: now).isRunning)
    }

    @Test mutating func aDatabaseThatTakesNoWritesIsNotRunning() {
        well.storeHasProblem = true
        #expect(!well.health(quiet, at: now).isRunning)
        #expect(!well.health(nil, at: now).isRunning)
    }

    @Test func messagesThatCannotBeDeliveredForLongAreNotRunning() {
        var backlog = OutboxBacklog(waiting: 3, oldestFailing: now - .seconds(900), refused: 0)
        #expect(well.health(backlog, at: now).isRunning)
        backlog.oldestFailing = now - .seconds(901)
        #expect(well.health(backlog, at: now).lines[2] == "delivery: has been failing for 15 min 1 s, 3 messages waiting")
        #expect(!well.health(backlog, at: now).isRunning)
        #expect(!well.health(OutboxBacklog(waiting: 0, oldestFailing: nil, refused: 1), at: now).isRunning)
    }

    @Test func aLateStartIsHeldAgainstTheSchedulerForAWhile() {
        let vitals = Vitals()
        let start = Moment(wall: now, uptime: .seconds(1000))
        vitals.schedulerPassed(at: start, lateness: .seconds(40))
        let soon = Moment(wall: now, uptime: .seconds(1100))
        vitals.schedulerPassed(at: soon, lateness: .zero)
        #expect(vitals.signs(at: soon).lateness == .seconds(40))
        let later = Moment(wall: now, uptime: .seconds(1301))
        vitals.schedulerPassed(at: later, lateness: .zero)
        #expect(vitals.signs(at: later).lateness == .zero)
    }

    @Test func theWatchdogHearsNothingWhenALoopStandsStill() {
        let vitals = Vitals()
        #expect(vitals.isAlive(at: Moment(wall: now, uptime: .seconds(1))))
        vitals.schedulerPassed(at: Moment(wall: now, uptime: .seconds(1)), lateness: nil)
        #expect(vitals.isAlive(at: Moment(wall: now, uptime: .seconds(61))))
        #expect(!vitals.isAlive(at: Moment(wall: now, uptime: .seconds(62))))
    }

    @Test func changesWakeEverySubscriberOnceHoweverManyThereWere() async {
        let changes = Changes()
        var streams = [changes.subscribe(), changes.subscribe()].map { $0.makeAsyncIterator() }
        for _ in 1...100 { changes.announce() }
        for index in streams.indices { await streams[index].next() }
        streams = []
        #expect(changes.subscribers == 0)
        changes.announce()
    }

    @Test(arguments: [(1, 5), (2, 10), (7, 320), (8, 600), (500, 600), (0, 5)]) func backOff(attempts: Int, seconds: Int) {
        #expect(BackOff.delay(afterAttempt: attempts) == .seconds(seconds))
    }
}
