// /proc/stat: where all processors together spent their time.

/// Clock ticks since boot, summed over all processors: the line `cpu` of /proc/stat.
struct HostStat: Equatable, Sendable {
    var user: UInt64
    var nice: UInt64
    var system: UInt64
    var idle: UInt64
    var ioWait: UInt64
    var interrupts: UInt64
    var softInterrupts: UInt64
    /// Taken away by the hypervisor; kernels before 2.6.11 do not tell.
    var steal: UInt64?

    init?(parsing text: Span<UInt8>) {
        var position = 0
        guard text.takes("cpu", &position), let user = text.number(&position), let nice = text.number(&position),
            let system = text.number(&position), let idle = text.number(&position), let ioWait = text.number(&position),
            let interrupts = text.number(&position), let softInterrupts = text.number(&position)
        else { return nil }
        self.user = user
        self.nice = nice
        self.system = system
        self.idle = idle
        self.ioWait = ioWait
        self.interrupts = interrupts
        self.softInterrupts = softInterrupts
        steal = text.number(&position)
    }

    /// Everything but idling, waiting for disks included. Guests are part of `user` already.
    var busy: UInt64 { user &+ nice &+ system &+ ioWait &+ interrupts &+ softInterrupts &+ (steal ?? 0) }
}
