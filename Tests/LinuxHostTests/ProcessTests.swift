import AgentCore
import Foundation
import LinuxHost
import Platform
import Testing

@testable import LinuxHost

@Suite struct ProcessTests {
    func identity(of process: Child) throws -> ProcessIdentity {
        let pid = process.pid
        return ProcessIdentity(pid: pid, startTicks: try #require(ProcFileSystem(root: "/").stat(of: pid)).startTicks)
    }

    @Test func theEndOfAProcessIsToldOnceAndAtOnce() throws {
        let on = try OnLoop()
        let child = try sleeper()
        let identity = try identity(of: child)
        let ends = Counter()
        let watcher = try on.run {
            let watcher = PidfdWatcher(loop: on.loop)
            watcher.watch(identity, for: "a") { ends.add() }
            return watcher
        }
        usleep(50_000)
        #expect(ends.count == 0)
        let start = Date()
        kill(child.pid, SIGKILL)
        // Nobody has waited for it yet: the end of a process is told, not the end of its zombie.
        #expect(eventually { ends.count == 1 })
        #expect(Date().timeIntervalSince(start) < 1)
        child.end()
        usleep(20_000)
        #expect(ends.count == 1)
        _ = watcher
    }

    @Test func aProcessThatIsGoneOrAnotherEndsSoon() throws {
        let on = try OnLoop()
        let child = try sleeper()
        let ends = Counter()
        let alive = try identity(of: child)
        let watcher = try on.run {
            let watcher = PidfdWatcher(loop: on.loop)
            watcher.watch(ProcessIdentity(pid: alive.pid, startTicks: alive.startTicks - 1), for: "another") { ends.add() }
            watcher.watch(ProcessIdentity(pid: 4_000_000, startTicks: 1), for: "gone") { ends.add() }
            return watcher
        }
        #expect(eventually { ends.count == 2 })
        child.end()
        _ = watcher
    }

    @Test func whatIsNotWatchedAnyLongerIsNotTold() throws {
        let on = try OnLoop()
        let first = try sleeper()
        let second = try sleeper()
        let (firstIdentity, secondIdentity) = (try identity(of: first), try identity(of: second))
        let ends = Counter()
        let watcher = try on.run {
            let watcher = PidfdWatcher(loop: on.loop)
            watcher.watch(firstIdentity, for: "a") { ends.add(100) }
            watcher.watch(secondIdentity, for: "a") { ends.add() }
            return watcher
        }
        first.end()
        second.end()
        #expect(eventually { ends.count == 1 })
        usleep(20_000)
        #expect(ends.count == 1)
        _ = watcher
    }
}

/// Counts across threads.
final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var value = 0
    func add(_ number: Int = 1) { lock.withLock { value += number } }
    var count: Int { lock.withLock { value } }
}

@Suite struct PidFileTests {
    @Test(.enabled(if: getuid() == 0, "needs root to become another user")) func aFileThatMayNotBeReadSaysNothingAboutItsService() throws {
        let (folder, child, listener, on) = (Folder(), try sleeper(), Listener(), try OnLoop())
        try folder.write("\(child.pid)\n", to: "app.pid")
        chmod(folder.path + "/app.pid", 0o600)
        try on.run { try become(65534) }
        let system = try on.run {
            let system = PidFileInit(loop: on.loop, logger: quiet)
            system.start(watching: [UnitRequest(name: "app", pidFile: folder.path + "/app.pid")], observer: listener)
            return system
        }
        #expect(eventually { listener.latest("app")?.presence == .hidden })
        let words = listener.latest("app")?.detail ?? ""
        #expect(words.hasPrefix("the pid file \(folder.path)/app.pid cannot be read: Permission denied; let the group "), "\(words)")
        chmod(folder.path + "/app.pid", 0o644)
        #expect(eventually(within: 15) { listener.latest("app")?.mainProcess?.pid == child.pid })
        // What it was known to name runs on.
        let before = listener.lines.count
        chmod(folder.path + "/app.pid", 0o600)
        try folder.write("", to: "other")
        child.end()
        #expect(eventually(within: 15) { listener.latest("app")?.presence == .hidden })
        #expect(listener.lines.count == before + 1)
        try on.run { system.stop() }
    }

    let folder = Folder()
    let listener = Listener()

    func watching(_ on: OnLoop, _ path: String) throws -> PidFileInit {
        let listener = listener
        return try on.run {
            let system = PidFileInit(loop: on.loop, logger: quiet)
            system.start(watching: [UnitRequest(name: "app", pidFile: path), UnitRequest(name: "not mine")], observer: listener)
            return system
        }
    }

    @Test func aProcessComesAndGoes() throws {
        let on = try OnLoop()
        let system = try watching(on, folder.path + "/app.pid")
        #expect(eventually { listener.latest("app")?.activity == .stopped })
        let child = try sleeper()
        try folder.write("\(child.pid)\n", to: "app.pid")
        #expect(eventually(within: 2) { listener.latest("app")?.activity == .running })
        #expect(listener.latest("app")?.mainProcess?.pid == child.pid)
        #expect(listener.latest("app")?.unit == "app")
        child.end()
        #expect(eventually(within: 2) { listener.latest("app")?.activity == .failed })
        let again = try sleeper()
        try folder.write("\(again.pid)\n", to: "app.pid")
        #expect(eventually(within: 2) { listener.latest("app")?.mainProcess?.pid == again.pid })
        // Written anew, as at a reload.
        let before = listener.lines.count
        try folder.remove("app.pid")
        usleep(300_000)
        try folder.write("\(again.pid)\n", to: "app.pid")
        usleep(2_500_000)
        #expect(listener.lines.count == before)
        try folder.remove("app.pid")
        #expect(eventually(within: 5) { listener.latest("app")?.activity == .stopped })
        #expect(listener.observations(of: "not mine").isEmpty)
        #expect(zip(listener.lines, listener.lines.dropFirst()).allSatisfy { $0 != $1 })
        again.end()
        try on.run { system.stop() }
    }

    @Test func aFolderThatComesLaterIsFound() throws {
        let on = try OnLoop()
        let system = try watching(on, folder.path + "/later/app.pid")
        let child = try sleeper()
        #expect(eventually { listener.latest("app")?.activity == .stopped })
        try folder.write("\(child.pid)\n", to: "later/app.pid")
        #expect(eventually(within: 5) { listener.latest("app")?.activity == .running })
        try folder.remove("later")
        #expect(eventually(within: 5) { listener.latest("app")?.activity == .stopped })
        child.end()
        try on.run { system.stop() }
    }

    @Test func aProcessYoungerThanTheFileIsAnother() throws {
        let child = try sleeper()
        try folder.write("\(child.pid)\n", to: "app.pid")
        let now = SystemTime().now()
        let path = folder.path + "/app.pid"
        var times = [timespec(tv_sec: Int(now.wall.seconds) - 100, tv_nsec: 0), timespec(tv_sec: Int(now.wall.seconds) - 100, tv_nsec: 0)]
        utimensat(AT_FDCWD, path, &times, 0)
        let state = PidFile(at: path, proc: ProcFileSystem(root: "/"), now: now, clockTicks: UInt64(sysconf(Int32(_SC_CLK_TCK))))
        #expect(state == .otherProcess(pid: child.pid))
        child.end()
    }

    /// In a container it is the application; here everything descends from it.
    @Test func theFirstProcessIsNoService() throws {
        let listener = listener
        try folder.write("1\n", to: "app.pid")
        let on = try OnLoop()
        let system = try watching(on, folder.path + "/app.pid")
        #expect(eventually { listener.latest("app")?.presence == .hidden })
        let words = listener.latest("app")?.detail ?? ""
        #expect(words.contains("names process 1, which starts all others") && words.contains("check the container's unit instead"), "\(words)")
        #expect(listener.latest("app")?.mainProcess == nil)
        try on.run { system.stop() }
    }

    /// The number of a process in a container, and of quite another one here.
    @Test(.enabled(if: getuid() == 0, "needs root to make a pid namespace")) func aNumberOfAContainerIsNoProcessOfThisHost() throws {
        let proc = ProcFileSystem(root: "/")
        let ticks = UInt64(sysconf(Int32(_SC_CLK_TCK)))
        func find(_ pid: Int32) -> Int32? {
            let now = SystemTime().now()
            return PidTwin.find(pid, in: proc, startedWithin: .seconds(600), before: now.wall, now: now, clockTicks: ticks)
        }
        let bystander = try sleeper()
        let window = Duration.seconds(1)
        usleep(1_500_000)
        let inside = try Child(
            "unshare",
            [
                "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c",
                "echo \(bystander.pid - 1) > /proc/sys/kernel/ns_last_pid; sleep 1000 & wait",
            ])
        #expect(eventually { find(bystander.pid) != nil })
        let twin = try #require(find(bystander.pid))
        // As the program in the container writes it when it has started.
        let now = SystemTime().now()
        let start = try #require(proc.stat(of: twin)).startTicks
        let written = now.wall - (now.uptime - .seconds(Double(start) / Double(ticks))) + .milliseconds(100)
        try folder.write("\(bystander.pid)\n", to: "app.pid")
        let time = timespec(tv_sec: Int(written.seconds), tv_nsec: Int(written.microseconds % 1_000_000) * 1000)
        var times = [time, time]
        utimensat(AT_FDCWD, folder.path + "/app.pid", &times, 0)
        func state() -> PidFile { PidFile(at: folder.path + "/app.pid", proc: proc, now: SystemTime().now(), clockTicks: ticks, window: window) }
        if case .strange(bystander.pid, let what) = state() {
            #expect(what.contains("process \(twin) called in its container"))
        } else {
            Issue.record("a bystander was taken for the service: \(state())")
        }
        inside.end()
        #expect(eventually { if case .runs(let process) = state() { process.pid == bystander.pid } else { false } })
        bystander.end()
    }

    @Test func aZombieDoesNotRun() throws {
        // A child that nobody waits for: a shell that has become `sleep` does not reap.
        let parent = try Child("sh", ["-c", "sleep 0.1 & echo $! > '\(folder.path)/app.pid'; exec sleep 1000"])
        let proc = ProcFileSystem(root: "/")
        let ticks = UInt64(sysconf(Int32(_SC_CLK_TCK)))
        #expect(
            eventually {
                if case .died = PidFile(at: folder.path + "/app.pid", proc: proc, now: SystemTime().now(), clockTicks: ticks) { true } else { false }
            })
        parent.end()
    }

    @Test(arguments: ["", "nonsense", String(repeating: "9", count: 1000)])
    func aFileWithoutAPidIsAFault(text: String) throws {
        try folder.write(text, to: "app.pid")
        let state = PidFile(at: folder.path + "/app.pid", proc: ProcFileSystem(root: "/"), now: SystemTime().now(), clockTicks: 100)
        #expect(state == .unreadable("does not begin with a process id"))
    }

    @Test func aPipeInPlaceOfTheFileDoesNotBlock() {
        mkfifo(folder.path + "/app.pid", 0o600)
        let state = PidFile(at: folder.path + "/app.pid", proc: ProcFileSystem(root: "/"), now: SystemTime().now(), clockTicks: 100)
        #expect(state == .unreadable("is not a file"))
    }

    @Test func nothingCanBeDoneForIt() throws {
        let on = try OnLoop()
        let system = try watching(on, folder.path + "/app.pid")
        let answer = Box<Result<Void, ActionError>>()
        try on.run { system.perform(.restart, on: "app", deadline: .seconds(1)) { answer.value = $0 } }
        #expect(eventually { (try? on.run { answer.value != nil }) == true })
        #expect(throws: ActionError("nothing knows how to restart a process that only has a pid file")) { try answer.value?.get() }
        try on.run { system.stop() }
    }
}
