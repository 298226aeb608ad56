@testable import AgentCore
import Testing

@Suite struct StallTests {
    /// States, one a cycle of 5 s, and what is said.
    private func outcomes(_ states: [ProcessState?]) -> [Stall.Outcome] {
        var stall = Stall()
        return states.enumerated().map { stall.observe($1.map { Stall.State($0) }, at: .seconds($0 * 5)) }.filter { $0 != .none }
    }

    @Test func stoppedForTenSecondsIsStuckOnce() {
        #expect(
            outcomes([.running, .stopped, .stopped, .stopped, .stopped, .running]) == [
                .stuck("its main process has been stopped for 10 s (state T)"), .unstuck,
            ])
    }

    @Test func waitingForADeviceForAMinuteIsStuck() {
        #expect(outcomes(Array(repeating: .blocked, count: 12)) == [])
        #expect(
            outcomes(Array(repeating: .blocked, count: 14)) == [.stuck("its main process has been waiting for a disk or a device for 60 s (state D)")]
        )
    }

    @Test func frozenForTenSecondsIsStuck() {
        var stall = Stall()
        #expect(stall.observe(.frozen, at: .seconds(0)) == .none)
        #expect(stall.observe(.frozen, at: .seconds(10)) == .stuck("it has been frozen for 10 s (`systemctl thaw` continues it)"))
        #expect(stall.observe(.running, at: .seconds(20)) == .unstuck)
    }

    @Test func momentsDoNotAddUp() {
        #expect(outcomes([.stopped, .stopped, .running, .stopped, .stopped, .running]) == [])
    }

    @Test func whatNobodyCanSayProvesNothing() {
        #expect(
            outcomes([.stopped, .stopped, nil, .stopped, nil, .running]) == [
                .stuck("its main process has been stopped for 15 s (state T)"), .unstuck,
            ])
    }
}
