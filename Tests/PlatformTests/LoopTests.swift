import Glibc
import Platform
import Synchronization
import Testing

@Suite struct LoopTests {
    @Test func timersFireInOrderAndCancelledOnesNever() throws {
        let loop = try Loop()
        var fired: [String] = []
        loop.after(.milliseconds(20)) {
            fired.append("late")
            loop.stop()
        }
        loop.after(.milliseconds(5)) { fired.append("early") }
        let cancelled = loop.after(.milliseconds(1)) { fired.append("cancelled") }
        loop.cancel(cancelled)
        loop.run()
        #expect(fired == ["early", "late"])
    }

    @Test func aHandlerMayAddAndCancelTimers() throws {
        let loop = try Loop()
        var ticks = 0
        var ticking: Loop.Timer?
        ticking = loop.every(.milliseconds(1)) {
            ticks += 1
            if ticks == 3, let ticking {
                loop.cancel(ticking)
                loop.after(.milliseconds(10)) { loop.stop() }
            }
        }
        loop.run()
        #expect(ticks == 3)
    }

    @Test func manyCancelledTimersLeaveNothingBehind() throws {
        let loop = try Loop()
        for _ in 0..<10_000 { loop.cancel(loop.after(.seconds(3600)) {}) }
        var fired = false
        loop.after(.milliseconds(1)) {
            fired = true
            loop.stop()
        }
        loop.run()
        #expect(fired)
    }

    @Test func worksFromOtherThreadsKeepTheirOrder() throws {
        let loop = try Loop()
        let seen = Mutex<[Int]>([])
        let thread = Thread {
            for number in 0..<1000 { loop.post { seen.withLock { $0.append(number) } } }
            loop.stop()
        }
        loop.run()
        thread.join()
        #expect(seen.withLock { $0 } == Array(0..<1000))
    }

    @Test func tellsWhenADescriptorIsReadable() throws {
        let loop = try Loop()
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        var read: [UInt8] = []
        try loop.watch(ends[0], for: .readable) { readiness in
            #expect(readiness.contains(.readable))
            var byte: UInt8 = 0
            Glibc.read(ends[0], &byte, 1)
            read.append(byte)
            loop.unwatch(ends[0])
            loop.stop()
        }
        loop.after(.milliseconds(1)) { _ = write(ends[1], [42] as [UInt8], 1) }
        loop.run()
        #expect(read == [42])
    }

    @Test func aStoppedLoopMayRunAgain() throws {
        let loop = try Loop()
        var turns = 0
        for _ in 0..<2 {
            loop.after(.zero) {
                turns += 1
                loop.stop()
            }
            loop.run()
        }
        #expect(turns == 2)
    }

    @Test func aDescriptorThatCannotBeWatchedIsAnError() throws {
        let loop = try Loop()
        #expect(throws: SystemError.self) { try loop.watch(9999, for: .readable) { _ in } }
    }
}

private final class Thread: @unchecked Sendable {
    private var handle = pthread_t()
    private let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
        pthread_create(
            &handle, nil,
            { context in
                Unmanaged<Thread>.fromOpaque(context!).takeRetainedValue().body()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
    }

    func join() { pthread_join(handle, nil) }
}
