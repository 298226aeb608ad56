// Which values a comparison lets through.

import RuleLanguage

/// Numbers between two bounds, without some of them.
struct ValueRange: Equatable {
    private var lower = -Double.infinity
    private var lowerIsIn = true
    private var upper = Double.infinity
    private var upperIsIn = true
    /// What `!=` leaves out.
    private var excluded: Set<Double> = []

    static let everything = ValueRange()

    /// - Parameter to: `nil`: as large as it likes.
    static func from(_ lower: Double, to upper: Double?) -> ValueRange {
        var range = ValueRange()
        range.lower = lower
        range.upper = upper ?? .infinity
        return range
    }

    private init() {}

    init(_ comparison: Comparison) { self.init(comparison.operator, comparison.threshold.value) }

    init(_ comparison: Comparison.Operator, _ threshold: Double) {
        switch comparison {
        case .above: (lower, lowerIsIn) = (threshold, false)
        case .atLeast: lower = threshold
        case .below: (upper, upperIsIn) = (threshold, false)
        case .atMost: upper = threshold
        case .equal: (lower, upper) = (threshold, threshold)
        case .unequal: excluded = [threshold]
        }
    }

    var isEmpty: Bool {
        if lower > upper { return true }
        return lower == upper && (!lowerIsIn || !upperIsIn || excluded.contains(lower))
    }

    func intersected(with other: ValueRange) -> ValueRange {
        var both = self
        if other.lower > lower || other.lower == lower && !other.lowerIsIn { (both.lower, both.lowerIsIn) = (other.lower, other.lowerIsIn) }
        if other.upper < upper || other.upper == upper && !other.upperIsIn { (both.upper, both.upperIsIn) = (other.upper, other.upperIsIn) }
        both.excluded.formUnion(other.excluded)
        return both
    }

    func contains(_ value: Double) -> Bool {
        (value > lower || value == lower && lowerIsIn) && (value < upper || value == upper && upperIsIn) && !excluded.contains(value)
    }

    /// Whether all of another range's values are in this one.
    func contains(_ other: ValueRange) -> Bool {
        if other.isEmpty { return true }
        let isAbove = other.lower > lower || other.lower == lower && (lowerIsIn || !other.lowerIsIn)
        let isBelow = other.upper < upper || other.upper == upper && (upperIsIn || !other.upperIsIn)
        return isAbove && isBelow && excluded.allSatisfy { !other.contains($0) }
    }

    /// What it says to a person who expected other values; `nil` when all numbers are in it.
    var help: String? {
        switch (lower.isFinite, upper.isFinite) {
        case (true, true): "it lies between \(Int64(clamping: lower)) and \(Int64(clamping: upper))"
        case (true, false): "it is never below \(Int64(clamping: lower))"
        default: nil
        }
    }
}

extension Int64 {
    /// The nearest whole number that there is.
    init(clamping value: Double) {
        self = value.isNaN ? 0 : Int64(exactly: value.rounded()) ?? (value < 0 ? .min : .max)
    }
}
