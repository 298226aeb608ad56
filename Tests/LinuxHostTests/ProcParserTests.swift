import AgentCore
import Testing

@testable import LinuxHost

@Suite struct ProcParserTests {
    @Test(arguments: [
        ("1 (systemd) S 0 1 1 0 -1 4194560 1 2 3 4 150 60 7 8 20 0 1 0 39 0 0", "systemd", "S", Int32(0), UInt64(150), UInt64(60), UInt64(39)),
        ("42 (tmux: server) R 1 1 1 0 -1 0 0 0 0 0 11 12 0 0 20 0 1 0 99", "tmux: server", "R", 1, 11, 12, 99),
        ("43 (a) b) (c) Z 42 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0\n", "a) b) (c", "Z", 42, 0, 0, 100),
        ("44 () S 1 1 1 0 -1 0 0 0 0 0 5 6 0 0 20 0 1 0 7", "", "S", 1, 5, 6, 7),
        ("45 (multi\nline) S 1 1 1 0 -1 0 0 0 0 0 5 6 0 0 20 0 1 0 7", "multi\nline", "S", 1, 5, 6, 7),
    ])
    func readsAProcessWhateverItsName(
        _ text: String, command: String, state: String, parent: Int32, user: UInt64, system: UInt64, start: UInt64
    ) throws {
        let stat = try #require(ProcessStat(parsing: text.utf8))
        #expect(stat.command == command)
        #expect(String(stat.state) == state)
        #expect(stat.parent == parent)
        #expect(stat.userTicks == user)
        #expect(stat.systemTicks == system)
        #expect(stat.startTicks == start)
        #expect(stat.hasEnded == (state == "Z"))
    }

    @Test(arguments: [
        "", "1", "1 (x", "1 x) S 0", ") (", "1 (x) S 0 1 2", "x (y) S 0 1 1 0 -1 0 0 0 0 0 5 6 0 0 20 0 1 0 7",
        "1 (x) S 0 1 1 0 -1 0 0 0 0 0 -5 6 0 0 20 0 1 0 7",
    ])
    func takesNothingElseForAProcess(_ text: String) {
        #expect(ProcessStat(parsing: text.utf8) == nil)
    }

    @Test(arguments: [
        ("2000 345 300 1 0 100 0\n", UInt64?(345)), ("0 0 0 0 0 0 0\n", nil), ("", nil), ("12", nil), ("12 x", nil),
    ])
    func readsResidentPages(_ text: String, pages: UInt64?) {
        #expect(residentPages(parsing: text.utf8) == pages)
    }

    @Test(arguments: [
        ("0", UInt64?(0)), ("18446744073709551615", UInt64.max), ("18446744073709551616", nil), ("99999999999999999999999", nil), ("-1", nil),
        ("", nil), ("1.5", nil),
    ])
    func readsNumbersThatFit(_ text: String, number: UInt64?) {
        #expect(decimal(text.utf8) == number)
    }

    @Test func readsProcessorTimes() throws {
        let stat = try #require(HostStat(parsing: "cpu  10 20 30 4000 50 6 7 8 9 0\ncpu0 1 2 3 4\nintr 5\n".utf8))
        #expect(stat.busy == 10 + 20 + 30 + 50 + 6 + 7 + 8)
        #expect(stat.steal == 8)
        #expect(HostStat(parsing: "cpu 1 2 3 4 5 6 7\n".utf8)?.steal == nil)
        #expect(HostStat(parsing: "cpu 1 2 3\n".utf8) == nil)
        #expect(HostStat(parsing: "intr 1 2 3 4 5 6 7 8".utf8) == nil)
    }

    @Test func readsLoad() {
        #expect(LoadAverage(parsing: "0.52 1.00 12.34 2/345 6789\n".utf8) == LoadAverage(parsing: "0.52 1 12.34".utf8))
        #expect(LoadAverage(parsing: "0.52 1.00 12.34 2/345 6789\n".utf8)?.fifteen == 12.34)
        #expect(LoadAverage(parsing: "nan inf 1".utf8) == nil)
        #expect(LoadAverage(parsing: "".utf8) == nil)
    }

    @Test func readsMemory() {
        let text =
            "MemTotal:       24565008 kB\nMemFree: 1 kB\nMemAvailable:   20000000 kB\nSwapTotal:       1000 kB\nSwapFree:         250 kB\nHugePages_Total:       0\n"
        let memory = MemoryInfo(parsing: text.utf8)
        #expect(memory.total == 24_565_008 * 1024)
        #expect(memory.available == 20_000_000 * 1024)
        #expect(memory.swapUsed == 75)
    }

    @Test(arguments: ["SwapTotal: 0 kB\nSwapFree: 0 kB\n", "MemTotal: 5 kB\n", "SwapTotal: 99999999999999999999 kB\nSwapFree: 1 kB\n"])
    func aHostWithoutSwapHasNoSwapMetric(_ text: String) {
        #expect(MemoryInfo(parsing: text.utf8).swapUsed == nil)
    }

    @Test func readsMountPointsWithOddNames() {
        let text =
            "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:5 / /mnt/my\\040disk rw shared:1 - nfs srv:/x rw\n31 22 0:6 / /a\\134b rw - tmpfs t rw\nbad\n"
        #expect(mountPoints(parsing: text.utf8) == ["/", "/mnt/my disk", "/a\\b"])
    }

    @Test func findsATreeAndNothingOfAnotherProcess() {
        func process(_ pid: Int32, _ parent: Int32, start: UInt64 = 5) -> ProcessStat {
            ProcessStat(parsing: "\(pid) (x) S \(parent) 1 1 0 -1 0 0 0 0 0 5 6 0 0 20 0 1 0 \(start)".utf8)!
        }
        let table = ProcessTable([process(1, 0), process(10, 1), process(11, 10), process(12, 11), process(20, 1), process(30, 31), process(31, 30)])
        #expect(table.tree(below: .init(pid: 10, startTicks: 5)).map(\.pid).sorted() == [10, 11, 12])
        #expect(table.tree(below: .init(pid: 10, startTicks: 6)).isEmpty)
        #expect(table.tree(below: .init(pid: 30, startTicks: 5)).map(\.pid).sorted() == [30, 31])
        #expect(table.tree(below: .init(pid: 99, startTicks: 5)).isEmpty)
    }

    @Test(arguments: [
        ("123\n", Int32?(123)), ("  77 extra", 77), ("1", 1), ("0", nil), ("-5", nil), ("", nil), ("pid=12", nil), ("99999999999", nil),
        ("12\u{0}", nil),
    ])
    func readsAPidFile(_ text: String, pid: Int32?) {
        #expect(pidNumber(parsing: text.utf8) == pid)
    }
}
