// Whatever somebody sends, the answer is an answer, and never that something broke.

import Platform
import TestKit
import Testing

@testable import Dashboard

/// Numbers that look random and are the same in every run.
struct Dice {
    var state: UInt64

    mutating func roll(_ sides: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(sides))
    }
}

@Suite struct HostileInputTests {
    private static let paths = [
        "/", "/services/shop", "/services/search%2Findex", "/hosts", "/hosts/add", "/hosts/\(Example.web1)", "/login?next=%2Fhosts", "/setup",
        "/status/",
        "/status/details", "/live?page=%2Flogin", "/assets/style.css", "/v1/reports", "/logout", "/hosts/remove-token",
    ]
    private static let methods = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"]
    private static let pieces = Array("%/?&=.;:@!$'()*+,~#[]{}|\\^`<>\"aZ09-_\u{7F}".utf8) + [0xC3, 0xA9, 0xFF, 0x80]

    private func mutated(_ text: String, _ dice: inout Dice) -> [UInt8] {
        var bytes = Array(text.utf8)
        for _ in 0...dice.roll(4) {
            let place = dice.roll(bytes.count + 1)
            switch dice.roll(4) {
            case 0 where place < bytes.count: bytes.remove(at: place)
            case 1 where place < bytes.count: bytes[place] = Self.pieces[dice.roll(Self.pieces.count)]
            case 2: bytes.insert(contentsOf: Array("%\(String(dice.roll(256), radix: 16))".utf8), at: place)
            default: bytes.insert(Self.pieces[dice.roll(Self.pieces.count)], at: place)
            }
        }
        return bytes
    }

    @Test func twoThousandMutatedRequestsAreAnswered() async throws {
        try await DashboardUnderTest.runLoggedIn(to: Example.store(at: ManualTime().now().wall)) { dashboard, browser async throws in
            var dice = Dice(state: 4711)
            let cookie = await browser.cookies["rollcall"] ?? ""
            let formToken = try await browser.get("/hosts/add").formToken
            var statuses: [Int: Int] = [:]
            for _ in 0..<2000 {
                let method = Self.methods[dice.roll(Self.methods.count)]
                let target = mutated(Self.paths[dice.roll(Self.paths.count)], &dice)
                let form = mutated("form_token=\(formToken)&name=web%20\(dice.roll(3))&password=x&code=y&next=%2Fhosts", &dice)
                var request = Array("\(method) ".utf8) + target
                request += Array(" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n".utf8)
                request += Array("Cookie: ".utf8) + (dice.roll(8) == 0 ? mutated("rollcall=\(cookie)", &dice) : Array("rollcall=\(cookie)".utf8))
                request += Array("\r\nContent-Length: \(form.count)\r\n\r\n".utf8) + form
                let connection = try Connection(port: dashboard.port)
                try await connection.send(request)
                let answer = try parse(try await connection.receive(until: "\r\n\r\n"))
                statuses[answer.status, default: 0] += 1
                #expect(answer.status < 500, "\(String(decoding: request, as: UTF8.self))")
            }
            #expect(statuses.count > 4)
            #expect(try await browser.get("/status/").status == 200)
        }
    }
}
