// Columns for a terminal.

/// Left-aligned columns, two spaces apart, the header first.
struct TextTable {
    private var rows: [[String]]

    init(_ header: [String]) { rows = [header.map { $0.uppercased() }] }

    mutating func add(_ row: [String]) { rows.append(row.map { $0.isEmpty ? "-" : $0 }) }

    var text: String {
        let widths = (rows.first ?? []).indices.map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (index, cell) in row.enumerated() {
                line += cell
                if index < row.count - 1 { line += String(repeating: " ", count: max(0, widths[index] - cell.count) + 2) }
            }
            return line + "\n"
        }.joined()
    }
}
