// Text never becomes markup.

import Testing

@testable import Dashboard

@Suite struct HTMLTests {
    @Test(arguments: [
        ("plain text, ümläute, 日本", "plain text, ümläute, 日本"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a & b", "a &amp; b"),
        ("&amp;", "&amp;amp;"),
        ("\" onmouseover='x'", "&quot; onmouseover=&#39;x&#39;"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("line\rdata: forged", "line&#13;data: forged"),
        ("nul\0bell\u{7}delete\u{7F}c1\u{85}", "nul\u{FFFD}bell\u{FFFD}delete\u{FFFD}c1\u{FFFD}"),
        ("gpj.\u{202E}exe\u{2066}", "gpj.\u{FFFD}exe\u{FFFD}"),
        ("dashes – and quotes “”", "dashes – and quotes “”"),
    ])
    func textIsEscaped(text: String, markup: String) {
        #expect(HTML(text: text).markup == markup)
        #expect(p { text }.markup == "<p>\(markup)</p>\n")
        #expect(span(Attribute("title", text)) {}.markup == "<span title=\"\(markup)\"></span>")
    }

    @Test func elementsNest() {
        let isLong = false
        let list = ul(.class("things")) {
            for number in 1...2 { li { "\(number) < 3" } }
            if isLong { li { "more" } }
        }
        #expect(list.markup == "<ul class=\"things\"><li>1 &lt; 3</li>\n<li>2 &lt; 3</li>\n</ul>\n")
    }

    @Test func attributesMayBeAbsentOrWithoutValue() {
        #expect(input(Attribute("required"), nil, .id("x")).markup == "<input required id=\"x\">\n")
    }
}
