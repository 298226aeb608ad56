// One thread, one epoll: descriptors, timers, and work posted from other threads.

import CLinux
import Glibc

/// An event loop that runs on the thread that calls `run()`.
///
/// Everything but `post` and `stop` is for that thread alone; what lives on a loop therefore needs no locks. Handlers must not
/// wait. A loop that has nothing to do sleeps in the kernel.
public final class Loop: @unchecked Sendable {
    /// What a descriptor can be ready for.
    public struct Readiness: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let readable = Readiness(rawValue: EPOLLIN.rawValue)
        public static let writable = Readiness(rawValue: EPOLLOUT.rawValue)
        /// Error or hang-up; always reported, never asked for.
        public static let broken = Readiness(rawValue: EPOLLERR.rawValue | EPOLLHUP.rawValue)
    }

    private let epoll: Int32
    private let wakeup: Int32
    private var handlers: [Int32: (generation: UInt32, call: (Readiness) -> Void)] = [:]
    private var generation: UInt32 = 0
    private var timers = TimerHeap()
    // The only state that other threads touch.
    private var inbox: [@Sendable () -> Void] = []
    private var stopping = false
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    public init() throws(SystemError) {
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw SystemError("creating an epoll descriptor") }
        wakeup = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard wakeup >= 0 else {
            let error = SystemError("creating an eventfd")
            close(epoll)
            throw error
        }
        pthread_mutex_init(lock, nil)
        try watch(wakeup, for: .readable) { [wakeup] _ in
            var count: UInt64 = 0
            _ = read(wakeup, &count, 8)
        }
    }

    deinit {
        close(epoll)
        close(wakeup)
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    /// Calls `handler` whenever `descriptor` is ready. Watching it again replaces what was asked for before.
    public func watch(_ descriptor: Int32, for readiness: Readiness, _ handler: @escaping (Readiness) -> Void) throws(SystemError) {
        generation &+= 1
        var event = epoll_event()
        event.events = readiness.rawValue
        // The generation tells a late event of a closed descriptor from one of its successor with the same number.
        event.data.u64 = UInt64(generation) << 32 | UInt64(UInt32(bitPattern: descriptor))
        let operation = handlers[descriptor] == nil ? EPOLL_CTL_ADD : EPOLL_CTL_MOD
        guard epoll_ctl(epoll, operation, descriptor, &event) == 0 else { throw SystemError("watching descriptor \(descriptor)") }
        handlers[descriptor] = (generation, handler)
    }

    /// Forgets a descriptor; call it before closing the descriptor.
    public func unwatch(_ descriptor: Int32) {
        guard handlers.removeValue(forKey: descriptor) != nil else { return }
        var event = epoll_event()
        epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &event)
    }

    /// Calls `handler` once, `delay` from now.
    @discardableResult
    public func after(_ delay: Duration, _ handler: @escaping () -> Void) -> Timer {
        timers.add(at: uptime() + max(.zero, delay), handler)
    }

    /// Calls `handler` every `period`. A pass that comes late does not make the following ones late, and missed passes are not made up for.
    @discardableResult
    public func every(_ period: Duration, _ handler: @escaping () -> Void) -> Timer {
        timers.add(at: uptime() + period, every: period, handler)
    }

    public func cancel(_ timer: Timer) { timers.remove(timer) }

    /// Runs `work` on the loop's thread soon. Any thread may call it; works posted by one thread keep their order.
    public func post(_ work: @escaping @Sendable () -> Void) {
        pthread_mutex_lock(lock)
        inbox.append(work)
        pthread_mutex_unlock(lock)
        wake()
    }

    /// Makes `run()` return after the handlers of its current pass; it may be called again. Any thread may call it.
    public func stop() {
        pthread_mutex_lock(lock)
        stopping = true
        pthread_mutex_unlock(lock)
        wake()
    }

    /// Turns until `stop()` is called.
    public func run() {
        var events = [epoll_event](repeating: epoll_event(), count: 64)
        while true {
            pthread_mutex_lock(lock)
            let work = inbox
            inbox = []
            let stop = stopping
            stopping = false
            pthread_mutex_unlock(lock)
            for item in work { item() }
            if stop { break }

            let now = uptime()
            while let handler = timers.takeDue(at: now) { handler() }
            let count = epoll_wait(epoll, &events, Int32(events.count), timeout())
            guard count > 0 else { continue }
            for event in events[0..<Int(count)] {
                let descriptor = Int32(truncatingIfNeeded: event.data.u64)
                guard let handler = handlers[descriptor], handler.generation == UInt32(event.data.u64 >> 32) else { continue }
                handler.call(Readiness(rawValue: event.events))
            }
        }
    }

    /// One identity per timer, so that cancelling a fired one is harmless.
    public struct Timer: Hashable, Sendable {
        let number: UInt64
    }

    private func wake() {
        var one: UInt64 = 1
        _ = write(wakeup, &one, 8)
    }

    /// Milliseconds until the next timer, rounded up so that it has expired when we look; -1 for none.
    private func timeout() -> Int32 {
        pthread_mutex_lock(lock)
        let pending = !inbox.isEmpty || stopping
        pthread_mutex_unlock(lock)
        if pending { return 0 }
        guard let next = timers.next else { return -1 }
        let left = (next - uptime()).microseconds
        return Int32(clamping: max(0, (left + 999) / 1000))
    }

    private func uptime() -> Duration {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}

/// Timers by due time; a binary heap with lazy removal.
private struct TimerHeap {
    private struct Entry {
        var due: Duration
        var period: Duration?
        var number: UInt64
        var handler: () -> Void
    }

    private var heap: [Entry] = []
    private var live: Set<UInt64> = []
    private var number: UInt64 = 0

    var next: Duration? { heap.first?.due }

    mutating func add(at due: Duration, every period: Duration? = nil, _ handler: @escaping () -> Void) -> Loop.Timer {
        number += 1
        live.insert(number)
        push(Entry(due: due, period: period, number: number, handler: handler))
        return Loop.Timer(number: number)
    }

    mutating func remove(_ timer: Loop.Timer) {
        guard live.remove(timer.number) != nil else { return }
        // Lazy removal leaves entries behind; sweep before they outnumber the live ones.
        if heap.count > 64, heap.count > 2 * live.count {
            let kept = heap.filter { live.contains($0.number) }
            heap = []
            for entry in kept { push(entry) }
        }
    }

    /// The handler of one timer that is due, the earliest first. The caller calls it, so that it may add and remove timers.
    mutating func takeDue(at now: Duration) -> (() -> Void)? {
        while let first = heap.first, first.due <= now || !live.contains(first.number) {
            pop()
            guard live.contains(first.number) else { continue }
            if let period = first.period {
                var again = first
                again.due = first.due + period
                if again.due <= now { again.due = now + period }
                push(again)
            } else {
                live.remove(first.number)
            }
            return first.handler
        }
        return nil
    }

    private mutating func push(_ entry: Entry) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0, heap[child].due < heap[(child - 1) / 2].due {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func pop() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].due < heap[least].due { least = child }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
