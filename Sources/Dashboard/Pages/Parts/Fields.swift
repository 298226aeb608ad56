// Parts of forms.

/// A labelled line of text.
/// - Parameter type: as HTML calls it: `text`, `password`.
func textField(
    _ name: String, _ text: String, type: String = "text", value: String = "", hint: String? = nil, autocomplete: String = "off",
    isInvalid: Bool = false
) -> HTML {
    div(.class("field")) {
        label(Attribute("for", name)) { text }
        input(
            .id(name), Attribute("name", name), Attribute("type", type), Attribute("value", value), Attribute("required"),
            Attribute("autocomplete", autocomplete), Attribute("autocapitalize", "none"), Attribute("spellcheck", "false"),
            isInvalid ? Attribute("aria-invalid", "true") : nil, hint.map { _ in Attribute("aria-describedby", "\(name)-hint") })
        if let hint { p(.id("\(name)-hint"), .class("hint")) { hint } }
    }
}

/// What was wrong with a form, at its top.
func problemLine(_ problem: String?) -> HTML {
    guard let problem else { return HTML() }
    return p(.class("problem"), .role("alert")) {
        icon(.critical)
        problem
    }
}

/// Something to copy; the keyboard can reach it.
func sample(_ name: String, @HTMLBuilder _ content: () -> HTML) -> HTML {
    pre(Attribute("tabindex", "0"), .role("region"), Attribute("aria-label", name), content: content)
}
