// Small pictures; the words are beside them.

/// Shapes that differ, so that nobody needs to see colours to tell them apart.
enum Icon {
    case brand, passing, warning, error, critical, unknown, changing

    /// In a square of 16.
    fileprivate var outline: String {
        switch self {
        case .brand, .passing: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm3.6 5.2-4.2 5a.8.8 0 0 1-1.2 0L4.3 9.1l1.2-1 1.3 1.5 3.6-4.4Z"
        case .warning:
            "M8 1.2c.5 0 .9.2 1.1.6l6 11c.5.9-.1 2-1.1 2H2c-1 0-1.6-1.1-1.1-2l6-11c.2-.4.6-.6 1.1-.6ZM7.2 5.5v4.5h1.6V5.5Zm0 5.7v1.6h1.6v-1.6Z"
        case .error:
            "M7.1.9a1.3 1.3 0 0 1 1.8 0l6.2 6.2a1.3 1.3 0 0 1 0 1.8l-6.2 6.2a1.3 1.3 0 0 1-1.8 0L.9 8.9a1.3 1.3 0 0 1 0-1.8ZM7.2 4v4.8h1.6V4Zm0 6.2v1.6h1.6v-1.6Z"
        case .critical:
            "M2.5 1h11A1.5 1.5 0 0 1 15 2.5v11a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 1 13.5v-11A1.5 1.5 0 0 1 2.5 1ZM5.3 4.2 4.2 5.3 6.9 8l-2.7 2.7 1.1 1.1L8 9.1l2.7 2.7 1.1-1.1L9.1 8l2.7-2.7-1.1-1.1L8 6.9Z"
        case .unknown: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.6a5.4 5.4 0 1 1 0 10.8A5.4 5.4 0 0 1 8 2.6ZM5 7.2v1.6h6V7.2Z"
        case .changing: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.6a5.4 5.4 0 1 1 0 10.8A5.4 5.4 0 0 1 8 2.6ZM7.2 4.4v4.3l3.2 1.9.8-1.4-2.4-1.4V4.4Z"
        }
    }
}

func icon(_ icon: Icon) -> HTML {
    svg(.class("icon"), Attribute("viewBox", "0 0 16 16"), Attribute("width", "16"), Attribute("height", "16"), .decoration) {
        path(Attribute("fill-rule", "evenodd"), Attribute("d", icon.outline)) {}
    }
}

/// The tab's picture, as a file of its own.
let iconFile =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\"><path fill=\"#2f6f4f\" fill-rule=\"evenodd\" d=\"\(Icon.brand.outline)\"/></svg>\n"
