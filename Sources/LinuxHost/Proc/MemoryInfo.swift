// /proc/meminfo.

/// Memory and swap of the host, in bytes. What the kernel does not tell is `nil`.
struct MemoryInfo: Equatable, Sendable {
    var total: UInt64?
    /// What can be had without swapping; kernels before 3.14 do not tell.
    var available: UInt64?
    var swapTotal: UInt64?
    var swapFree: UInt64?

    init(parsing text: Span<UInt8>) {
        total = kilobytes(of: "MemTotal:", in: text)
        available = kilobytes(of: "MemAvailable:", in: text)
        swapTotal = kilobytes(of: "SwapTotal:", in: text)
        swapFree = kilobytes(of: "SwapFree:", in: text)
    }

    /// What programs cannot get any more without swapping.
    var used: UInt64? {
        guard let total, let available, available <= total else { return nil }
        return total - available
    }

    /// Percent of the swap that is used; a host without swap has none to fill.
    var swapUsed: Double? {
        guard let swapTotal, let swapFree, swapTotal > 0, swapFree <= swapTotal else { return nil }
        return 100 * Double(swapTotal - swapFree) / Double(swapTotal)
    }
}
