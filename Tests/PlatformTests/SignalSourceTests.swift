import Glibc
import Platform
import Testing

@Suite struct SignalSourceTests {
    @Test func aSignalCallsTheHandlerOnTheLoop() throws {
        let loop = try Loop()
        var taken: [Int32] = []
        let source = try SignalSource([SIGUSR1, SIGUSR2], on: loop) { signal in
            taken.append(signal)
            if taken.count == 2 { loop.stop() }
        }
        pthread_kill(pthread_self(), SIGUSR2)
        pthread_kill(pthread_self(), SIGUSR1)
        loop.after(.seconds(5)) { loop.stop() }
        withExtendedLifetime(source) { loop.run() }
        #expect(taken.sorted() == [SIGUSR1, SIGUSR2].sorted())
    }
}
