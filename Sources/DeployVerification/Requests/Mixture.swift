// Right and other answers beside each other, and how many right ones in a row end the doubt.

import Glibc
public import Platform

/// How much a row of right answers proves. Each answer is taken for an independent draw: every question has its own connection.
public enum Strength {
    /// How sure a proof is: 99.9 %.
    static let doubt = 0.001

    /// The share of other answers that so many right answers in a row exclude; `nil` without any.
    public static func excludedShare(by row: Int) -> Double? { row > 0 ? 1 - pow(doubt, 1 / Double(row)) : nil }

    /// `37 answers in a row over fresh connections: a share of more than 17 % old answers is excluded at 99.9 %`
    public static func words(of row: Int) -> String? {
        guard let share = excludedShare(by: row) else { return nil }
        let percent = max(1, Int((share * 100).rounded()))
        return
            "\(row) \(row == 1 ? "answer" : "answers in a row") over fresh connections: a share of more than \(percent) % old answers is excluded at 99.9 %"
    }
}

/// What one URL has answered since it first answered right, while other answers still came between.
struct Mixture: Sendable {
    private static let leastQuiet = Duration.seconds(1)
    private static let mostQuiet = Duration.seconds(10)
    /// Of the last others: at the end of a rolling restart, one in ten may be old when it was every second on the whole.
    private static let recent = 3

    /// Answers since the first right one, and the others among them: each by its number in that row.
    private var answers = 0
    private var others = 0
    private var latest: [Int] = []
    private(set) var lastOther: Duration?
    private var gap = Duration.zero

    var isEmpty: Bool { others == 0 }

    mutating func noteRight() { answers += 1 }

    mutating func noteOther(at now: Duration) {
        answers += 1
        others += 1
        latest.append(answers)
        if latest.count > Self.recent + 1 { latest.removeFirst() }
        if let lastOther { gap = now - lastOther }
        lastOther = now
    }

    /// A few answers say little of the share: one in ten is always excluded, whatever larger share was seen.
    private static let largestShare = 0.1

    /// The share of others while they came; of the whole time or of its end, whichever is less.
    private var share: Double {
        guard let last = latest.last else { return 0 }
        let whole = min(Self.largestShare, Double(others) / Double(last))
        guard latest.count > Self.recent, let first = latest.first else { return whole }
        return min(whole, Double(Self.recent) / Double(last - first))
    }

    /// How many right answers in a row show that the mixture is over. Every other answer begins a new row, and each row is another chance to be
    /// deceived: the rows together are to deceive once in a thousand times.
    func needed(atLeast least: Int) -> Int {
        guard others > 0 else { return least }
        let allowed = Strength.doubt / (Double(others) * Double(others + 1))
        return max(least, Int((log(allowed) / log(1 - share)).rounded(.up)))
    }

    /// For how long no other answer may come: others that come now and then are waited for.
    var quiet: Duration { min(Self.mostQuiet, max(Self.leastQuiet, gap * 2)) }
}
