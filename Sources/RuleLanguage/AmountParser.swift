// `500m`, `90%`, `100/sec`: the numbers that rules compare with.

/// A text that is no amount: why, and what would help.
public struct AmountProblem: Error, Equatable, Sendable {
    public var message: String
    public var help: String?
}

extension Amount {
    /// Reads `[+-]DIGITS[.DIGITS]`, then one of `k m g t p` (either case, steps of 1024), `%`, or `ms s min h d` (times, in seconds), then
    /// `/sec`, which times cannot have.
    public init(parsing text: String) throws(AmountProblem) {
        var rest = text.utf8[...]
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
        let digits = rest.prefix { (48...57).contains($0) }
        rest = rest.dropFirst(digits.count)
        guard !digits.isEmpty else {
            let help =
                rest.first == UInt8(ascii: ".") ? "write 0\(text.drop { $0 != "." })" : "an amount is a number such as 90, 500m, 90% or 100/sec"
            throw AmountProblem(message: "\(quoted(text)) is not an amount", help: help)
        }
        var hasFraction = false
        if rest.first == UInt8(ascii: ".") {
            let fraction = rest.dropFirst().prefix { (48...57).contains($0) }
            if !fraction.isEmpty {
                rest = rest.dropFirst(fraction.count + 1)
                hasFraction = true
            }
        }
        let number = text[..<rest.startIndex]

        let isPerSecond = rest.count >= 4 && rest.suffix(4).elementsEqual("/sec".utf8)
        let suffix = String(rest.dropLast(isPerSecond ? 4 : 0)) ?? ""
        guard let unit = Unit(suffix), !(isPerSecond && unit.isTime) else {
            throw AmountProblem(message: "\(quoted(text)) is not an amount", help: help(forRest: String(rest) ?? "", after: String(number)))
        }
        var tooLarge: AmountProblem {
            AmountProblem(
                message: "the amount \(quoted(text)) is too large", help: "the largest amount is \(Int64.max / Int64(max(1, unit.factor)))\(suffix)")
        }
        let value: Double
        if hasFraction {
            guard let decimal = Double(number), (decimal * unit.factor).magnitude < Double(Int64.max) else { throw tooLarge }
            value = decimal * unit.factor
        } else {
            guard let whole = Self.whole(digits, isNegative: isNegative, unit) else { throw tooLarge }
            value = whole
        }
        self.init(value: value, perSecond: isPerSecond, percent: suffix == "%", isTime: unit.isTime, text: text)
    }

    private struct Unit {
        var factor: Double
        var isTime = false

        init?(_ suffix: String) {
            switch suffix {
            case "", "%": factor = 1
            case "k", "K": factor = 0x1p10
            case "m", "M": factor = 0x1p20
            case "g", "G": factor = 0x1p30
            case "t", "T": factor = 0x1p40
            case "p", "P": factor = 0x1p50
            case "ms": (factor, isTime) = (0.001, true)
            case "s": (factor, isTime) = (1, true)
            case "min": (factor, isTime) = (60, true)
            case "h": (factor, isTime) = (3600, true)
            case "d": (factor, isTime) = (86400, true)
            default: return nil
            }
        }
    }

    /// Checked in whole numbers, which a `Double` rounds; `nil` for one that is too large.
    private static func whole(_ digits: Substring.UTF8View, isNegative: Bool, _ unit: Unit) -> Double? {
        // Built from the sign on, because the smallest number has no positive counterpart.
        var value: Int64 = 0
        for digit in digits {
            let (tens, overflowed) = value.multipliedReportingOverflow(by: 10)
            let (sum, alsoOverflowed) =
                isNegative ? tens.subtractingReportingOverflow(Int64(digit - 48)) : tens.addingReportingOverflow(Int64(digit - 48))
            guard !overflowed, !alsoOverflowed else { return nil }
            value = sum
        }
        guard unit.factor >= 1 else { return Double(value) * unit.factor }
        let (scaled, overflowed) = value.multipliedReportingOverflow(by: Int64(unit.factor))
        return overflowed ? nil : Double(scaled)
    }
}

/// What helps whoever wrote `500mb`, `2hours` or `5/s`.
private func help(forRest rest: String, after number: String) -> String {
    if rest.hasPrefix("_") { return "numbers are written without separators" }
    if rest.hasPrefix(".") || rest.hasPrefix(",") { return "a fraction is written as 1.5" }
    if rest.hasPrefix("e") || rest.hasPrefix("E") { return "write the number out, or use a unit: k, m, g, t or p" }
    switch rest.drop(while: { !$0.isLetter }).lowercased() {
    case "s", "sec", "secs", "second", "seconds": return rest.hasPrefix("/") ? "a rate is written with /sec, such as 100/sec" : "write \(number)s"
    case "min", "mins", "minute", "minutes":
        return rest.hasPrefix("/") ? "a rate is written with /sec, such as 100/sec" : "write \(number)min; \(number)m is mebi"
    case "h", "hour", "hours": return "write \(number)h"
    case "d", "day", "days": return "write \(number)d"
    case "ms", "us", "ns", "msec": return "times are written with ms, s, min, h or d"
    default:
        return rest.contains("/")
            ? "a rate is written with /sec, such as 100/sec" : "the units are k, m, g, t and p (steps of 1024) and %: 500m is 500 * 1024 * 1024"
    }
}
