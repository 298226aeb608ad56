// HTML as values: text is escaped wherever it goes in, and markup comes from tags alone.

/// A piece of a page.
struct HTML: Equatable, Sendable {
    private(set) var markup = ""

    init() {}
    init(text: String) { markup = escaped(text) }

    fileprivate init(tag: Tag, attributes: [Attribute?], content: HTML?) {
        markup = "<\(tag.name)"
        for case let attribute? in attributes {
            markup += " \(attribute.name)"
            if let value = attribute.value { markup += "=\"\(escaped(value))\"" }
        }
        markup += ">"
        if let content { markup += "\(content.markup)</\(tag.name)>" }
        if tag.endsLine { markup += "\n" }
    }

    static func + (a: HTML, b: HTML) -> HTML {
        var sum = a
        sum.markup += b.markup
        return sum
    }
}

/// An attribute. Its name is written in the source, so that nothing from outside becomes one.
struct Attribute: Sendable {
    let name: StaticString
    let value: String?

    init(_ name: StaticString, _ value: String? = nil) {
        self.name = name
        self.value = value
    }

    static func `class`(_ names: String) -> Attribute { Attribute("class", names) }
    static func id(_ id: String) -> Attribute { Attribute("id", id) }
    static func href(_ route: Route) -> Attribute { Attribute("href", route.path) }
    static func action(_ route: Route) -> Attribute { Attribute("action", route.path) }
    static func role(_ role: String) -> Attribute { Attribute("role", role) }
    /// For what a neighbouring text says as well.
    static let decoration = Attribute("aria-hidden", "true")
}

/// An element by its name; calling it makes one: `p(.class("muted")) { "text" }`.
struct Tag: Sendable {
    let name: StaticString
    /// A line ends behind it, for people who read the source.
    let endsLine: Bool

    init(_ name: StaticString, endsLine: Bool = false) {
        self.name = name
        self.endsLine = endsLine
    }

    func callAsFunction(_ attributes: Attribute?..., @HTMLBuilder content: () -> HTML) -> HTML {
        HTML(tag: self, attributes: attributes, content: content())
    }
}

/// An element that has no content and no end tag: `input`, `meta`.
struct VoidTag: Sendable {
    let tag: Tag

    init(_ name: StaticString) { tag = Tag(name, endsLine: true) }

    func callAsFunction(_ attributes: Attribute?...) -> HTML { HTML(tag: tag, attributes: attributes, content: nil) }
}

@resultBuilder
enum HTMLBuilder {
    static func buildExpression(_ text: String) -> HTML { HTML(text: text) }
    static func buildExpression(_ html: HTML) -> HTML { html }
    static func buildBlock(_ parts: HTML...) -> HTML { parts.reduce(HTML(), +) }
    static func buildOptional(_ part: HTML?) -> HTML { part ?? HTML() }
    static func buildEither(first part: HTML) -> HTML { part }
    static func buildEither(second part: HTML) -> HTML { part }
    static func buildArray(_ parts: [HTML]) -> HTML { parts.reduce(HTML(), +) }
}

/// Text as it stands in HTML, in content and in quoted attributes alike. A carriage return would end a line of a server-sent event;
/// other control characters and those that turn the direction of writing around show as what they are: not part of the text.
private func escaped(_ text: String) -> String {
    guard text.utf8.contains(where: needsCare) else { return text }
    var out = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "&": out += "&amp;"
        case "<": out += "&lt;"
        case ">": out += "&gt;"
        case "\"": out += "&quot;"
        case "'": out += "&#39;"
        case "\r": out += "&#13;"
        case "\n", "\t": out.unicodeScalars.append(scalar)
        case "\0"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{202A}"..."\u{202E}", "\u{2066}"..."\u{2069}": out += "\u{FFFD}"
        default: out.unicodeScalars.append(scalar)
        }
    }
    return out
}

/// Bytes that are to be escaped, or may begin something that is.
private func needsCare(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "&"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\""), UInt8(ascii: "'"), 0..<32, 127, 0xC2, 0xE2: true
    default: false
    }
}
