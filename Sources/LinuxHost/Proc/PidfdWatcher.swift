// The end of a process, as the kernel tells it.

public import AgentCore
import Glibc
public import Platform

/// Watches processes through pidfds; where there are none (kernels before 5.3, no descriptor left), it looks once a second.
public final class PidfdWatcher: ProcessWatcher {
    private let loop: Loop
    private let proc = ProcFileSystem(root: "/")
    private var watches: [String: Watch] = [:]

    private struct Watch {
        var descriptor: Int32?
        var timer: Loop.Timer?
    }

    public init(loop: Loop) { self.loop = loop }

    deinit { for key in watches.keys { unwatch(key) } }

    public func watch(_ process: ProcessIdentity, for key: String, ended: @escaping () -> Void) {
        unwatch(key)
        let hasEnded: () -> Void = { [weak self] in
            self?.unwatch(key)
            ended()
        }
        let descriptor: Int32
        do throws(SystemError) {
            descriptor = try openProcess(process.pid)
        } catch {
            if error.code == ESRCH {
                watches[key] = Watch(timer: loop.after(.zero, hasEnded))
            } else {
                poll(process, key, hasEnded)
            }
            return
        }
        // The pid may have passed to another process before it was opened, but not since.
        guard lives(process) else {
            close(descriptor)
            watches[key] = Watch(timer: loop.after(.zero, hasEnded))
            return
        }
        do {
            try loop.watch(descriptor, for: .readable) { _ in hasEnded() }
            watches[key] = Watch(descriptor: descriptor)
        } catch {
            close(descriptor)
            poll(process, key, hasEnded)
        }
    }

    public func unwatch(_ key: String) {
        guard let watch = watches.removeValue(forKey: key) else { return }
        if let timer = watch.timer { loop.cancel(timer) }
        guard let descriptor = watch.descriptor else { return }
        loop.unwatch(descriptor)
        close(descriptor)
    }

    private func poll(_ process: ProcessIdentity, _ key: String, _ hasEnded: @escaping () -> Void) {
        watches[key] = Watch(
            timer: loop.every(.seconds(1)) { [weak self] in
                guard let self, !self.lives(process) else { return }
                hasEnded()
            })
    }

    private func lives(_ process: ProcessIdentity) -> Bool {
        guard let stat = proc.stat(of: process.pid) else { return false }
        return stat.startTicks == process.startTicks && !stat.hasEnded
    }
}
