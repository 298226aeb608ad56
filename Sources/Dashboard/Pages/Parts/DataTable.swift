// Tables that become cards on a phone.

/// One cell: the first of a row is its heading.
struct Cell {
    var content: HTML
    /// Of the stylesheet: `number`, `wide`, `calm` for what a phone need not show.
    var style: String

    init(_ style: String = "", @HTMLBuilder _ content: () -> HTML) {
        self.style = style
        self.content = content()
    }
}

/// A table with a caption for screen readers. The roles repeat what the elements say, for browsers that forget it when the stylesheet
/// turns rows into cards; so do the names of the columns, which then stand in each cell.
func dataTable(caption text: String, columns: [String], rows: [[Cell]]) -> HTML {
    table(.role("table")) {
        caption(.class("unseen")) { text }
        thead(.role("rowgroup")) {
            tr(.role("row")) {
                for column in columns { th(Attribute("scope", "col"), .role("columnheader")) { column } }
            }
        }
        tbody(.role("rowgroup")) {
            for row in rows {
                tr(.role("row")) {
                    for (column, cell) in zip(columns.indices, row) {
                        let style = cell.style.isEmpty ? nil : Attribute.class(cell.style)
                        if column == 0 {
                            th(Attribute("scope", "row"), .role("rowheader"), style) { cell.content }
                        } else {
                            td(.role("cell"), style, Attribute("data-label", columns[column])) { cell.content }
                        }
                    }
                }
            }
        }
    }
}

/// What stands where nothing was measured.
let absent = span(.class("absent")) {
    span(.decoration) { "–" }
    span(.class("unseen")) { "not measured" }
}
