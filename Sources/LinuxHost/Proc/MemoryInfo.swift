// /proc/meminfo.

/// Memory and swap of the host, in bytes. What the kernel does not tell is `nil`.
struct MemoryInfo: Equatable, Sendable {
    var total: UInt64?
    /// What can be had without swapping; kernels before 3.14 do not tell.
    var available: UInt64?
    var swapTotal: UInt64?
    var swapFree: UInt64?

    init(parsing text: some Collection<UInt8>) {
        for line in Array(text).split(separator: UInt8(ascii: "\n")) {
            let fields = Fields(line)
            guard let key = fields.text(at: 0), fields.text(at: 2) == "kB" else { continue }
            let (bytes, overflow) = (fields.number(at: 1) ?? 0).multipliedReportingOverflow(by: 1024)
            let value = fields.number(at: 1) == nil || overflow ? nil : bytes
            switch key {
            case "MemTotal:": total = value
            case "MemAvailable:": available = value
            case "SwapTotal:": swapTotal = value
            case "SwapFree:": swapFree = value
            default: break
            }
        }
    }

    /// Percent of the swap that is used; a host without swap has none to fill.
    var swapUsed: Double? {
        guard let swapTotal, let swapFree, swapTotal > 0, swapFree <= swapTotal else { return nil }
        return 100 * Double(swapTotal - swapFree) / Double(swapTotal)
    }
}
