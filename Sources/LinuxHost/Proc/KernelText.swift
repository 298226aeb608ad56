// Numbers and words out of the kernel's text, in place: nothing here allocates.

extension Span where Element == UInt8 {
    /// Moves past blanks within a line. A carriage return is one: some of what is read may have been edited by people.
    func skipBlanks(_ position: inout Int) {
        while position < count, self[position] == 32 || self[position] == 9 || self[position] == 13 { position += 1 }
    }

    /// Moves past a word and the blanks after it.
    func skipWord(_ position: inout Int) {
        while position < count, self[position] > 32 { position += 1 }
        skipBlanks(&position)
    }

    /// Moves to the beginning of the next line; `false` when there is none.
    func skipLine(_ position: inout Int) -> Bool {
        while position < count {
            position += 1
            if self[position - 1] == 10 { return position < count }
        }
        return false
    }

    /// The unsigned decimal number that is the whole word here, moving past it and the blanks after it; `nil`, without moving, for
    /// anything else and for what does not fit.
    func number(_ position: inout Int) -> UInt64? {
        var index = position
        var number: UInt64 = 0
        while index < count, self[index] > 32 {
            let digit = UInt64(self[index]) &- 48
            guard digit <= 9 else { return nil }
            let (product, carried) = number.multipliedReportingOverflow(by: 10)
            let (sum, overflown) = product.addingReportingOverflow(digit)
            guard !carried, !overflown else { return nil }
            number = sum
            index += 1
        }
        guard index > position else { return nil }
        skipBlanks(&index)
        position = index
        return number
    }

    /// Whether this word is here, and moves past it and the blanks after it.
    func takes(_ word: StaticString, _ position: inout Int) -> Bool {
        let length = word.utf8CodeUnitCount
        guard length <= count - position else { return false }
        let start = word.utf8Start
        for offset in 0..<length where self[position + offset] != start[offset] { return false }
        let end = position + length
        guard end == count || self[end] <= 32 else { return false }
        position = end
        skipBlanks(&position)
        return true
    }

    /// The number after `key` in lines of `key value`, as in memory.stat and cpu.stat.
    func number(of key: StaticString) -> UInt64? {
        var position = 0
        repeat {
            if takes(key, &position) { return number(&position) }
        } while skipLine(&position)
        return nil
    }

    /// The number that is the first word of the text.
    func firstNumber() -> UInt64? {
        var position = 0
        return number(&position)
    }
}

/// Words between blanks.
struct Fields {
    private var fields: [ArraySlice<UInt8>]

    init(_ bytes: ArraySlice<UInt8>) {
        fields = bytes.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }
    }

    func first(at index: Int) -> UInt8? { index < fields.count ? fields[index].first : nil }
    func text(at index: Int) -> String? { index < fields.count ? String(decoding: fields[index], as: UTF8.self) : nil }
    func number(at index: Int) -> UInt64? { index < fields.count ? decimal(fields[index]) : nil }
    func fraction(at index: Int) -> Double? {
        guard let text = text(at: index), let number = Double(text), number.isFinite else { return nil }
        return number
    }
}

/// An unsigned decimal number, the whole of the text; `nil` for anything else, and for what does not fit.
func decimal(_ text: some Collection<UInt8>) -> UInt64? {
    var number: UInt64 = 0
    for byte in text {
        guard byte >= 48, byte <= 57 else { return nil }
        let (product, carried) = number.multipliedReportingOverflow(by: 10)
        let (sum, overflown) = product.addingReportingOverflow(UInt64(byte - 48))
        guard !carried, !overflown else { return nil }
        number = sum
    }
    return text.isEmpty ? nil : number
}
