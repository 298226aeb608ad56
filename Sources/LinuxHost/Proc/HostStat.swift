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

    init?(parsing text: some Collection<UInt8>) {
        let line = Array(text).prefix { $0 != UInt8(ascii: "\n") }
        let fields = Fields(line)
        guard fields.text(at: 0) == "cpu", let user = fields.number(at: 1), let nice = fields.number(at: 2), let system = fields.number(at: 3),
            let idle = fields.number(at: 4), let ioWait = fields.number(at: 5), let interrupts = fields.number(at: 6),
            let softInterrupts = fields.number(at: 7)
        else { return nil }
        self.user = user
        self.nice = nice
        self.system = system
        self.idle = idle
        self.ioWait = ioWait
        self.interrupts = interrupts
        self.softInterrupts = softInterrupts
        steal = fields.number(at: 8)
    }

    /// Everything but idling, waiting for disks included. Guests are part of `user` already.
    var busy: UInt64 { user &+ nice &+ system &+ ioWait &+ interrupts &+ softInterrupts &+ (steal ?? 0) }
}
