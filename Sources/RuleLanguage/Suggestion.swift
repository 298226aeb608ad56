// What somebody may have meant.

/// The word among `words` that `word` is a slip of the keyboard away from; `nil` when none is near enough.
public func nearest(to word: String, among words: some Sequence<String>) -> String? {
    let typed = Array(word.lowercased().unicodeScalars)
    guard !typed.isEmpty, typed.count <= 64 else { return nil }
    let typedLetters = letters(typed)
    var best: (word: String, distance: Int)?
    for candidate in words {
        // One slip in a short word, two in a longer one; more would be guessing.
        let length = candidate.unicodeScalars.count
        let allowed = max(typed.count, length) < 5 ? 1 : 2
        guard abs(length - typed.count) <= allowed else { continue }
        let meant = Array(candidate.lowercased().unicodeScalars)
        // Most words have little in common: each letter that only one of them has is a slip, at least.
        let meantLetters = letters(meant)
        guard (typedLetters & ~meantLetters).nonzeroBitCount <= allowed, (meantLetters & ~typedLetters).nonzeroBitCount <= allowed else { continue }
        let distance = slips(from: typed, to: meant)
        if distance <= allowed, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.word
}

/// Which letters there are, one bit each; some share a bit.
private func letters(_ word: [Unicode.Scalar]) -> UInt64 {
    var letters: UInt64 = 0
    for scalar in word { letters |= 1 << UInt64(scalar.value & 63) }
    return letters
}

/// How many letters must be put in, left out, changed or swapped with their neighbour.
private func slips(from a: [Unicode.Scalar], to b: [Unicode.Scalar]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in 1...a.count {
        var row = [i]
        for (j, letter) in b.enumerated() {
            var distance = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i - 1] == letter ? 0 : 1))
            if i > 1, j > 0, a[i - 1] == b[j - 1], a[i - 2] == letter { distance = min(distance, beforeLast[j - 1] + 1) }
            row.append(distance)
        }
        (beforeLast, last) = (last, row)
    }
    return last[b.count]
}
