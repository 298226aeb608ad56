// A message as mail servers and mail readers want it (RFC 5322, 2045, 2047).

import Messages
import Platform

/// The text of one mail. The same message gives the same text at every attempt.
struct MailMessage {
    /// Lines end with CR LF.
    let text: String

    init(_ message: Message, from: String) {
        let body = Body(message.body)
        let headers = [
            "Date: \(mailDate(message.createdAt))",
            "From: \(from)",
            "To: \(message.recipient)",
            "Message-ID: <\(idText(message.id))@\(from.split(separator: "@").last ?? "localhost")>",
            "Subject: \(headerText(message.subject, after: "Subject: ".count))",
            // Robots must not answer: RFC 3834.
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: \(body.encoding)",
        ]
        text = (headers + [""] + body.lines).joined(separator: "\r\n") + "\r\n"
    }

    /// Whether `text` is one bare address that can stand in an envelope and in a header: nothing to quote, nothing that ends a line.
    static func isAddress(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        let special = Set("()<>[]:;,\\\"".utf8)
        return text.utf8.count <= 254 && parts.count == 2 && parts.allSatisfy { !$0.isEmpty }
            && text.utf8.allSatisfy { $0 > 32 && $0 < 127 && !special.contains($0) }
    }
}

/// The body's lines and how they are encoded: as they are where every server takes them, else quoted-printable.
private struct Body {
    let encoding: String
    let lines: [String]

    init(_ text: String) {
        // Swift takes CR LF for one character; a lone CR ends a line as well.
        let plain = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" || $0 == "\r" }
        let trimmed = plain.last == "" ? plain.dropLast() : plain[...]
        let isPlain = trimmed.allSatisfy { line in line.utf8.count <= 998 && line.utf8.allSatisfy { (32..<127).contains($0) || $0 == 9 } }
        encoding = isPlain ? "7bit" : "quoted-printable"
        lines = isPlain ? trimmed.map(String.init) : trimmed.flatMap { quotedPrintable(Array($0.utf8)) }
    }
}

/// One line of text as lines of at most 76 characters; a `=` at the end of one says that the line goes on.
private func quotedPrintable(_ bytes: [UInt8]) -> [String] {
    var lines: [String] = []
    var line = ""
    for (index, byte) in bytes.enumerated() {
        let isLast = index == bytes.count - 1
        // A blank at the end of a line may get lost on the way.
        let isPlain = (33..<127).contains(byte) && byte != UInt8(ascii: "=") || (byte == 32 || byte == 9) && !isLast
        let piece = isPlain ? String(UnicodeScalar(byte)) : "=" + hex([byte]).uppercased()
        if line.utf8.count + piece.utf8.count > 75 {
            lines.append(line + "=")
            line = ""
        }
        line += piece
    }
    return lines + [line]
}

/// A header's value: folded before it gets too long, and as encoded words where it is more than ASCII. Line breaks and other control
/// characters become spaces: nothing in it can begin another header.
private func headerText(_ text: String, after column: Int) -> String {
    let words = text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : String($0) }.joined().split(separator: " ")
    if words.allSatisfy({ word in word.utf8.count <= 70 && word.utf8.allSatisfy { $0 < 127 } && !looksEncoded(word) }) {
        return folded(words.map(String.init), after: column)
    }
    return folded(encodedWords(words.joined(separator: " ")), after: column)
}

/// Whether a reader could take a word for one of RFC 2047.
private func looksEncoded(_ word: Substring) -> Bool {
    zip(word.utf8, word.utf8.dropFirst()).contains { $0 == UInt8(ascii: "=") && $1 == UInt8(ascii: "?") }
}

private func folded(_ words: [String], after column: Int) -> String {
    var (text, length) = ("", column)
    for (index, word) in words.enumerated() {
        if index > 0 {
            let fits = length + 1 + word.utf8.count <= 76
            text += fits ? " " : "\r\n "
            length = fits ? length + 1 : 1
        }
        text += word
        length += word.utf8.count
    }
    return text
}

/// RFC 2047's Q encoding; each word decodes by itself, so none ends within a character.
private func encodedWords(_ text: String) -> [String] {
    let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!*+-/".utf8)
    var words: [String] = []
    var word = ""
    for scalar in text.unicodeScalars {
        let piece = String(scalar).utf8.map { byte in
            plain.contains(byte) ? String(UnicodeScalar(byte)) : byte == 32 ? "_" : "=" + hex([byte]).uppercased()
        }.joined()
        // 75 with `=?utf-8?Q?` and `?=`, less for the first beside the header's name.
        if word.utf8.count + piece.utf8.count > 52 {
            words.append(word)
            word = ""
        }
        word += piece
    }
    return (words + [word]).map { "=?utf-8?Q?\($0)?=" }
}

/// An id as the left side of a Message-ID: what may not stand there is written in hex.
private func idText(_ id: String) -> String {
    let text = id.utf8.prefix(200).map { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
            String(UnicodeScalar(byte))
        default: "_" + hex([byte])
        }
    }.joined()
    return text.isEmpty ? "_" : text
}

/// `Sat, 21 Nov 2026 03:00:00 +0000`
private func mailDate(_ time: Timestamp) -> String {
    let days = Int((time.seconds - (time.seconds % 86400 + 86400) % 86400) / 86400)
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7 + 7) % 7]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let parts = time.text(fraction: false).split { $0 == "-" || $0 == "T" || $0 == "Z" }
    guard parts.count == 4, let month = Int(parts[1]), months.indices.contains(month - 1) else { return time.text(fraction: false) }
    return "\(weekday), \(parts[2]) \(months[month - 1]) \(parts[0]) \(parts[3]) +0000"
}
