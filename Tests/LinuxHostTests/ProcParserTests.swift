import AgentCore
import TestKit
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
        // As to who may see it, to who may not, and of a process that is ending.
        (
            " 94000 94999 140000 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 1 2 3 140100 140200 140300 140400 0\n",
            ExecMark(code: 94000, stack: 140000, arguments: 140100)
        ),
        (" 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n", ExecMark(code: 1, stack: 0, arguments: 0)),
        (" 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n", ExecMark(code: 0, stack: 0, arguments: 0)),
        // Lines that end before it.
        ("", nil), (" 94000 94999 140000", nil), (" 94000 94999 x 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 1 2 3 140100", nil),
    ])
    func readsWhereAnExecPutThings(_ end: String, mark: ExecMark?) throws {
        let text = "17 (a) b) S 1 17 17 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 5000 2600000 200 18446744073709551615" + end
        let stat = try #require(ProcessStat(parsing: text.utf8))
        #expect(stat.startTicks == 5000 && stat.counters.execMark == mark)
    }

    @Test(arguments: [
        ("2000 345 300 1 0 100 0\n", UInt64?(345)), ("0 0 0 0 0 0 0\n", nil), ("", nil), ("12", nil), ("12 x", nil),
    ])
    func readsResidentPages(_ text: String, pages: UInt64?) {
        #expect(residentPages(parsing: bytes(text).span) == pages)
    }

    @Test(arguments: [
        ("0", UInt64?(0)), ("18446744073709551615", UInt64.max), ("18446744073709551616", nil), ("99999999999999999999999", nil), ("-1", nil),
        ("", nil), ("1.5", nil),
    ])
    func readsNumbersThatFit(_ text: String, number: UInt64?) {
        #expect(decimal(text.utf8) == number)
    }

    @Test func readsProcessorTimes() {
        let stat = HostStat(parsing: bytes("cpu  10 20 30 4000 50 6 7 8 9 0\ncpu0 1 2 3 4\nintr 5\n").span)
        #expect(stat?.busy == 10 + 20 + 30 + 50 + 6 + 7 + 8)
        #expect(stat?.steal == 8)
        #expect(HostStat(parsing: bytes("cpu 1 2 3 4 5 6 7\r\n").span)?.steal == nil)
        #expect(HostStat(parsing: bytes("cpu 1 2 3\n").span) == nil)
        #expect(HostStat(parsing: bytes("intr 1 2 3 4 5 6 7 8").span) == nil)
    }

    @Test func readsLoad() {
        let load = LoadAverage(parsing: "0.52 1.00 12.34 2/345 6789\n".utf8)
        #expect(load?.one == 0.52 && load?.five == 1 && load?.fifteen == 12.34)
        #expect(load?.tasks == 345)
        #expect(LoadAverage(parsing: "0.52 1 12.34".utf8)?.tasks == nil)
        #expect(LoadAverage(parsing: "nan inf 1".utf8) == nil)
        #expect(LoadAverage(parsing: "".utf8) == nil)
    }

    @Test func readsMemory() {
        let text =
            "MemTotal:       24565008 kB\nMemFree: 1 kB\nMemAvailable:   20000000 kB\r\nSwapTotal:       1000 kB\nSwapFree:         250 kB\nHugePages_Total:       0\n"
        let memory = MemoryInfo(parsing: bytes(text).span)
        #expect(memory.total == 24_565_008 * 1024)
        #expect(memory.available == 20_000_000 * 1024)
        #expect(memory.used == 4_565_008 * 1024)
        #expect(memory.swapUsed == 75)
    }

    @Test(arguments: ["SwapTotal: 0 kB\nSwapFree: 0 kB\n", "MemTotal: 5 kB\n", "SwapTotal: 99999999999999999999 kB\nSwapFree: 1 kB\n", ""])
    func aHostWithoutSwapHasNoSwapMetric(_ text: String) {
        #expect(MemoryInfo(parsing: bytes(text).span).swapUsed == nil)
    }

    @Test func readsMountsWithOddNames() {
        let text =
            "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:5 / /mnt/my\\040disk ro,noatime shared:1 - nfs srv:/x rw\n31 22 0:6 / /a\\134b rw master:2 - tmpfs t ro\nbad\n32 1 0:7 / /cut"
        let table = mounts(parsing: bytes(text).span)
        #expect(
            table == [
                "/": Mount(isReadOnly: false, device: "8:1"), "/mnt/my disk": Mount(isReadOnly: true, device: "0:5"),
                "/a\\b": Mount(isReadOnly: true, device: "0:6"),
            ])
    }

    @Test(arguments: [
        ("some avg10=1.50 avg60=0.20 avg300=0.00 total=2\nfull avg10=9.99 avg60=1 avg300=1 total=1\n", Double?(1.5)),
        ("some avg10=100.00 avg60=0 avg300=0 total=0", 100), ("full avg10=1.00 avg60=1 avg300=1 total=1\n", nil), ("some avg10= avg60=1", nil),
        ("some avg10=1.2.3 avg60=1", nil), ("some avg10=99999999999999999999", nil), ("", nil), ("some", nil),
    ])
    func readsPressure(_ text: String, percent: Double?) {
        #expect(Pressure(parsing: bytes(text).span)?.some == percent)
    }

    @Test(arguments: [
        ("Max open files            1024                 524288               files     \n", Limit?(.atMost(1024))),
        ("Limit   Soft Limit\r\nMax open files            unlimited            unlimited            files\r\n", .unlimited),
        ("Max open files", nil), ("Max processes 5 6", nil), ("", nil), ("Max open files many", nil),
    ])
    func readsTheLimitOfOpenFiles(_ text: String, limit: Limit?) {
        #expect(Limit(openFilesOf: bytes(text).span) == limit)
    }

    @Test(arguments: [("max\n", Limit?(.unlimited)), ("4096\n", .atMost(4096)), ("", nil), ("maximal", nil), ("18446744073709551616", nil)])
    func readsTheLimitOfAGroup(_ text: String, limit: Limit?) {
        #expect(Limit(ofGroup: bytes(text).span) == limit)
    }

    @Test func readsOpenFiles() {
        #expect(FileCount(parsing: bytes("591\t1\t2465620\n").span).map { [$0.open, $0.limit] } == [590, 2_465_620])
        #expect(FileCount(parsing: bytes("591\t0\t9223372036854775807\n").span)?.limit == nil)
        #expect(FileCount(parsing: bytes("591 0").span) == nil)
    }

    @Test func readsAnInterface() {
        let text = bytes(
            "Inter-|   Receive\n face |bytes\n    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  eth0:1000 2 3 4 0 0 0 0 500 10 11 12 0 0 0 0\n")
        let counters = InterfaceCounters(of: "eth0", parsing: text.span)
        #expect(counters?.received == 1000 && counters?.sent == 500 && counters?.errors == 30)
        #expect(InterfaceCounters(of: "eth", parsing: text.span) == nil)
        #expect(InterfaceCounters(of: "lo", parsing: bytes("lo: 1 2 3").span) == nil)
        #expect(InterfaceCounters(of: "", parsing: text.span) == nil)
    }

    @Test func readsMappedMemory() {
        let memory = MappedMemory(parsing: bytes("Rss: 9 kB\nPss:  329 kB\nPss_Dirty: 7 kB\nPrivate_Clean: 64 kB\nPrivate_Dirty: 120 kB\n").span)
        #expect(memory?.proportional == 329 * 1024)
        #expect(memory?.unshared == 184 * 1024)
        #expect(MappedMemory(parsing: bytes("Pss: 329 MB\nPrivate_Clean: 1 kB\nPrivate_Dirty: 2 kB\n").span) == nil)
        #expect(MappedMemory(parsing: bytes("Pss: 329 kB\n").span) == nil)
    }

    @Test(arguments: [("11 12 \n", [Int32(11), 12]), ("1\n2\r\n3", [1, 2, 3]), ("0\n5\n", [5]), ("x 5 99999999999", [5]), ("", []), ("\n\n", [])])
    func readsListsOfProcesses(_ text: String, pids: [Int32]) {
        var found: [Int32] = []
        appendProcesses(parsing: bytes(text).span, to: &found)
        #expect(found == pids)
    }

    @Test(arguments: [
        ("8:0 rbytes=100 wbytes=20 rios=1\n8:16 rbytes=11 wbytes=2\n", UInt64?(111), UInt64?(22)), ("", 0, 0), ("8:0 \n8:16 rbytes=5\r\n", 5, 0),
        ("8:0 rbytes=18446744073709551615\n8:1 rbytes=1", nil, nil), ("8:0 rbytes= wbytes=x", 0, 0),
    ])
    func readsTransfersOfAGroup(_ text: String, read: UInt64?, write: UInt64?) {
        let transfer = ProcessTransfer(second: bytes(text).span)
        #expect(transfer?.read == read && transfer?.write == write)
    }

    @Test(arguments: [
        ("8:0 Read 100\n8:0 Write 20\n8:0 Total 120\n8:1 Read 1\nTotal 121\n", UInt64?(101), UInt64?(20)), ("Total 0\n", 0, 0), ("", nil, nil),
        ("8:0 Read 100\n", nil, nil),
    ])
    func readsTransfersOfALegacyGroup(_ text: String, read: UInt64?, write: UInt64?) {
        let transfer = ProcessTransfer(first: bytes(text).span)
        #expect(transfer?.read == read && transfer?.write == write)
    }

    @Test func aKeyIsAWholeWord() {
        #expect(bytes("user_usec 1\nuser 2\n").span.number(of: "user") == 2)
        #expect(bytes("a_user 1\n").span.number(of: "user") == nil)
        #expect(bytes("user").span.number(of: "user") == nil)
        #expect(bytes("user x\nuser 3\n").span.number(of: "user") == nil)
    }

    @Test func findsATreeAndNothingOfAnotherProcess() {
        func process(_ pid: Int32, _ parent: Int32, start: UInt64 = 5) -> ProcessStat {
            ProcessStat(parsing: "\(pid) (x) S \(parent) 1 1 0 -1 0 0 0 0 0 5 6 0 0 20 0 1 0 \(start)".utf8)!
        }
        let table = ProcessTable([process(1, 0), process(10, 1), process(11, 10), process(12, 11), process(20, 1), process(30, 31), process(31, 30)])
        #expect(table.tree(below: .init(pid: 10, startTicks: 5)).sorted() == [10, 11, 12])
        #expect(table.tree(below: .init(pid: 10, startTicks: 6)).isEmpty)
        #expect(table.tree(below: .init(pid: 30, startTicks: 5)).sorted() == [30, 31])
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

/// Whatever a file says, a parser answers; the bounds of what it reads are checked by Swift.
@Suite struct ProcMutationTests {
    @Test func processStat() {
        Mutations.run(seeds: Mutations.seeds("process-stat")) { bytes in
            // Both see the same numbers, or one of them refuses the text.
            if let stat = ProcessStat(parsing: bytes), ProcessCounters(parsing: bytes.span) != stat.counters { Issue.record("two answers") }
        }
    }

    @Test func processFiles() {
        Mutations.run(seeds: Mutations.seeds("process-files")) { bytes in
            _ = residentPages(parsing: bytes.span)
            _ = ProcessTransfer(parsing: bytes.span)
            _ = Limit(openFilesOf: bytes.span)
            _ = MappedMemory(parsing: bytes.span)
            var pids: [Int32] = []
            appendProcesses(parsing: bytes.span, to: &pids)
            if pids.contains(where: { $0 <= 0 }) { Issue.record("no process has a pid below 1") }
        }
    }

    @Test func hostFiles() {
        Mutations.run(seeds: Mutations.seeds("host-files")) { bytes in
            if let pressure = Pressure(parsing: bytes.span), !pressure.some.isFinite || pressure.some < 0 { Issue.record("no pressure") }
            _ = FileCount(parsing: bytes.span)
            if let load = LoadAverage(parsing: bytes), !load.one.isFinite { Issue.record("no load") }
            if let used = MemoryInfo(parsing: bytes.span).swapUsed, !(0...100).contains(used) { Issue.record("no percentage") }
        }
    }

    @Test func interfaces() {
        Mutations.run(seeds: Mutations.seeds("net-dev")) { bytes in _ = InterfaceCounters(of: "eth0", parsing: bytes.span) }
    }

    @Test func hostStat() {
        Mutations.run(seeds: Mutations.seeds("host-stat")) { bytes in _ = HostStat(parsing: bytes.span)?.busy }
    }

    @Test func mountTable() {
        Mutations.run(seeds: Mutations.seeds("mounts")) { bytes in _ = mounts(parsing: bytes.span) }
    }

    @Test func cgroupFiles() {
        Mutations.run(seeds: Mutations.seeds("cgroup-files")) { bytes in
            let text = bytes.span
            _ = CgroupMemory(first: text)
            _ = CgroupMemory(second: text)
            var processor = CgroupProcessor(first: text)
            processor?.addSplit(text, clockTicks: 100)
            _ = CgroupProcessor(second: text)
            _ = CgroupThrottling(parsing: text)
            _ = CgroupMemoryEvents(parsing: text)
            _ = Limit(ofGroup: text)
            _ = ProcessTransfer(first: text)
            _ = ProcessTransfer(second: text)
        }
    }
}

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
