// /proc/loadavg.

/// How many processes ran or waited for a processor or a disk, averaged over minutes.
struct LoadAverage: Equatable, Sendable {
    var one: Double
    var five: Double
    var fifteen: Double
    /// Processes and threads that there are.
    var tasks: UInt64?

    init?(parsing text: some Collection<UInt8>) {
        let fields = Fields(Array(text)[...])
        guard let one = fields.fraction(at: 0), let five = fields.fraction(at: 1), let fifteen = fields.fraction(at: 2) else { return nil }
        self.one = one
        self.five = five
        self.fifteen = fifteen
        // `running/all`
        tasks = fields.text(at: 3).flatMap { word in word.firstIndex(of: "/").flatMap { decimal(word[$0...].dropFirst().utf8) } }
    }
}
