// `500m`, `90%`, `100/sec`: the numbers that rules compare with.

/// A text that is no amount: why, and what would help.
public struct AmountProblem: Error, Equatable, Sendable {
    public var message: String
    public var help: String?
}

extension Amount {
    /// Reads `[+-]DIGITS`, then one of `k m g t p` (either case, steps of 1024) or `%`, then `/sec`; both may be missing.
    public init(parsing text: String) throws(AmountProblem) {
        var rest = text.utf8[...]
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
        let digits = rest.prefix { (48...57).contains($0) }
        rest = rest.dropFirst(digits.count)
        guard !digits.isEmpty else {
            throw AmountProblem(message: "\(quoted(text)) is not an amount", help: "an amount is a number such as 90, 500m, 90% or 100/sec")
        }

        var isPercent = false
        var factor: Int64 = 1
        if let suffix = rest.first, let power = Array("kmgtp".utf8).firstIndex(of: suffix | 0x20) {
            factor = 1 << (10 * Int64(power + 1))
            rest.removeFirst()
        } else if rest.first == UInt8(ascii: "%") {
            isPercent = true
            rest.removeFirst()
        }
        let isPerSecond = rest.elementsEqual("/sec".utf8)
        guard rest.isEmpty || isPerSecond else {
            throw AmountProblem(message: "\(quoted(text)) is not an amount", help: help(forRest: String(rest) ?? "", of: text))
        }

        let tooLarge = AmountProblem(
            message: "the amount \(quoted(text)) is too large",
            help: "the largest amount is \(Int64.max / factor)\(factor == 1 ? "" : "\(text.filter(\.isLetter).prefix(1))")")
        // Built from the sign on, because the smallest number has no positive counterpart.
        var value: Int64 = 0
        for digit in digits {
            let (tens, overflowed) = value.multipliedReportingOverflow(by: 10)
            let (sum, alsoOverflowed) =
                isNegative ? tens.subtractingReportingOverflow(Int64(digit - 48)) : tens.addingReportingOverflow(Int64(digit - 48))
            guard !overflowed, !alsoOverflowed else { throw tooLarge }
            value = sum
        }
        let (scaled, overflowed) = value.multipliedReportingOverflow(by: factor)
        guard !overflowed else { throw tooLarge }
        self.init(value: Double(scaled), perSecond: isPerSecond, percent: isPercent, text: text)
    }
}

/// What helps whoever wrote `1.5g`, `500mb`, `200ms` or `5/s`.
private func help(forRest rest: String, of text: String) -> String {
    if rest.hasPrefix(".") || rest.hasPrefix("_") { return "amounts are whole numbers, with a smaller unit where one is needed: 1536m, not 1.5g" }
    if rest.contains("/") { return "a rate is written with /sec, such as 100/sec" }
    switch text.drop(while: { !$0.isLetter }).lowercased() {
    case "s", "ms", "us", "sec", "seconds", "h", "min": return "no amount has a unit of time"
    default: return "the units are k, m, g, t and p (steps of 1024) and %: 500m is 500 * 1024 * 1024"
    }
}
