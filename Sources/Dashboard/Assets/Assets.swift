// The files that pages load.

import Platform

/// A file whose name holds the hash of its content: it may be kept for ever, and a new version has a new name.
struct Asset: Sendable {
    let name: String
    let contentType: String
    let text: String

    init(_ base: String, type fileExtension: String, contentType: String, text: String) {
        name = "\(base).\(digest(text).prefix(12)).\(fileExtension)"
        self.contentType = contentType
        self.text = text
    }

    var route: Route { .asset(name) }
}

enum Assets {
    static let stylesheet = Asset("style", type: "css", contentType: "text/css; charset=utf-8", text: stylesheetText)
    static let script = Asset("script", type: "js", contentType: "text/javascript; charset=utf-8", text: scriptText)
    static let icon = Asset("icon", type: "svg", contentType: "image/svg+xml", text: iconFile)

    static func named(_ name: String) -> Asset? { [stylesheet, script, icon].first { $0.name == name } }
}
