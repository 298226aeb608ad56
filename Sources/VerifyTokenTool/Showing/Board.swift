// What is shown while a check goes on, on standard error.

import Glibc
import Platform

/// A row for each host and URL. On a terminal they are redrawn in place; else a line for each change, one a second and row at most.
struct Board {
    struct Row: Equatable {
        var name: String
        var text: String
        /// Changes with every look and is worth no line of its own: `3 of 5 in a row`.
        var detail = ""
        /// A row that is fine gives way first where there is no room for all.
        var isGood: Bool
    }

    private let isShown: Bool
    private let isTerminal: Bool
    private var drawn = 0
    private var lastDrawn: Duration?
    private var said: [String: (text: String, at: Duration)] = [:]

    init(isShown: Bool) {
        self.isShown = isShown
        isTerminal = isatty(2) == 1 && variable("TERM") != "dumb"
    }

    mutating func show(_ rows: [Row], left: Duration, elapsed: Duration) {
        guard isShown else { return }
        if isTerminal { redraw(rows, left, elapsed) } else { tell(rows, elapsed) }
    }

    /// Takes the redrawn rows away.
    mutating func clear() {
        guard isShown, isTerminal else { return }
        if drawn > 1 { Output.write("\r\u{1b}[\(drawn - 1)A\u{1b}[J", to: 2) } else { Output.write("\r\u{1b}[J", to: 2) }
        drawn = 0
    }

    private mutating func redraw(_ rows: [Row], _ left: Duration, _ elapsed: Duration) {
        // A redraw costs bytes over ssh: ten a second are enough for any eye.
        if let lastDrawn, elapsed - lastDrawn < .milliseconds(100) { return }
        lastDrawn = elapsed
        let (width, height) = size()
        let lines = Board.lines(rows, left: left, width: width, height: height)
        let back = drawn > 1 ? "\r\u{1b}[\(drawn - 1)A" : "\r"
        Output.write(back + "\u{1b}[J" + lines.joined(separator: "\n"), to: 2)
        drawn = lines.count
    }

    /// What fits on a terminal: nothing wraps, for a line that wraps could not be redrawn.
    static func lines(_ rows: [Row], left: Duration, width: Int, height: Int) -> [String] {
        let room = max(1, height - 2)
        let order = rows.count > room ? rows.filter { !$0.isGood } + rows.filter(\.isGood) : rows
        let chosen = order.prefix(room)
        let more = rows.count - chosen.count
        let column = min(40, width / 3, chosen.map(\.name.count).max() ?? 0)
        var lines = chosen.map { row in
            let name = row.name.count > column ? String(row.name.prefix(max(1, column - 1))) + "…" : row.name
            let padded = name + String(repeating: " ", count: max(0, column - name.count))
            return "\(padded)  \(row.text)\(row.detail.isEmpty ? "" : ", \(row.detail)")"
        }
        lines.append((more > 0 ? "and \(more) more; " : "") + "\(seconds(left)) s left")
        return lines.map { String($0.prefix(max(1, width - 1))) }
    }

    private mutating func tell(_ rows: [Row], _ elapsed: Duration) {
        for row in rows {
            if let before = said[row.name], before.text == row.text || elapsed - before.at < .seconds(1) { continue }
            said[row.name] = (row.text, elapsed)
            Output.error("\(seconds(elapsed)) s  \(row.name): \(row.text)")
        }
    }

    private func size() -> (width: Int, height: Int) {
        var size = winsize()
        guard ioctl(2, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 1 else { return (80, 24) }
        return (Int(size.ws_col), max(2, Int(size.ws_row)))
    }
}
