// What an answer's body says of a token.

import DeployVerification
import TestKit
import Testing

@Suite struct TokenReadingTests {
    private static let token = "0123456789abcdef0123456789abcdef"

    @Test(arguments: [
        token, token + "\n", token + "\r\n", token + " \n\n", "\u{FEFF}" + token, "  " + token, "\"\(token)\"", "'\(token)'\n", "\"\(token)\"\r\n",
    ])
    func whatServersPutAroundEveryAnswerIsNoPartOfIt(body: String) {
        #expect(TokenReading(Array(body.utf8)) == .token(Self.token))
    }

    @Test func capitalsAreKept() {
        #expect(TokenReading(Array(Self.token.uppercased().utf8)) == .token(Self.token.uppercased()))
    }

    @Test(arguments: [
        "<html><body>\(token)</body></html>", "{\"token\": \"\(token)\"}", "token: \(token)", "\"\"\(token)\"\"", "\(token) \(token)",
    ])
    func aTokenWithMoreAroundItIsFoundAndIsNoAnswer(body: String) {
        guard case .within(let tokens) = TokenReading(Array(body.utf8)) else {
            Issue.record("\(TokenReading(Array(body.utf8)))")
            return
        }
        #expect(tokens.contains(Self.token))
    }

    @Test(arguments: ["", "none", "\n", "not found", "<!-- -------------------------- -->", "x\(token)", token + "_" + token, "\"", "'\""])
    func whatIsNoTokenIsNone(body: String) {
        #expect(TokenReading(Array(body.utf8)) == .none)
    }

    @Test func noBytesHarmIt() {
        Mutations.run(seeds: [Array("<p>\(Self.token)</p>".utf8), Array("\u{FEFF}\"\(Self.token)\"\r\n".utf8)]) { bytes in
            if case .token(let text) = TokenReading(bytes) { #expect(DeployToken.isToken(text.utf8)) }
        }
    }
}
