// Who gets in, and who does not.

import AggregatorCore
import Foundation
import Platform
import TestKit
import Testing

@testable import Dashboard

@Suite struct SetupStories {
    private let good = ["code": DashboardUnderTest.setupCode, "name": "ada", "password": DashboardUnderTest.password]

    @Test func theFirstUserIsMadeOnceAndLoggedIn() async throws {
        try await DashboardUnderTest.run { dashboard async throws in
            let browser = dashboard.browser()
            #expect(try await browser.get("/")["location"] == "/setup")
            #expect(try await browser.get("/login")["location"] == "/setup")
            let answer = try await browser.submit("/setup", good)
            #expect(answer.status == 303 && answer["location"] == "/services")
            #expect(try await browser.get("/").status == 200)
            let user = try #require(dashboard.store.look(\.users).first)
            #expect(user.name == "ada" && PasswordHash(user.passwordHash)?.matches(DashboardUnderTest.password) == true)

            let late = dashboard.browser()
            #expect(try await late.get("/setup")["location"] == "/login")
            let again = try await late.submit("/setup", from: "/login", good.merging(["name": "eve"]) { $1 })
            #expect(again.status == 303 && again["location"] == "/login")
            #expect(dashboard.store.look(\.users).count == 1)
        }
    }

    @Test func aWrongCodeMakesNobody() async throws {
        try await DashboardUnderTest.run { dashboard async throws in
            let browser = dashboard.browser()
            for code in ["", "4711", DashboardUnderTest.setupCode + "x"] {
                #expect(try await browser.submit("/setup", good.merging(["code": code]) { $1 }).status == 403)
            }
            #expect(dashboard.store.look(\.users).isEmpty)
        }
    }

    @Test func codesCannotBeTriedOut() async throws {
        try await DashboardUnderTest.run { dashboard async throws in
            let browser = dashboard.browser()
            for _ in 1...5 { _ = try await browser.submit("/setup", good.merging(["code": "guess"]) { $1 }) }
            let answer = try await browser.submit("/setup", good)
            #expect(answer.status == 429 && answer["retry-after"] == "1")
            dashboard.time.advance(by: .seconds(1))
            #expect(try await browser.submit("/setup", good).status == 303)
        }
    }

    @Test(arguments: [("password", "too short", "at least 10 characters"), ("name", "", "between 1 and 64"), ("name", "a b", "no spaces")])
    func whatIsWrongIsSaid(field: String, value: String, words: String) async throws {
        try await DashboardUnderTest.run { dashboard async throws in
            let answer = try await dashboard.browser().submit("/setup", good.merging([field: value]) { $1 })
            #expect(answer.status == 422 && answer.body.contains(words))
            #expect(dashboard.store.look(\.users).isEmpty)
        }
    }
}

@Suite struct LoginStories {
    @Test func withoutASessionEveryPageAsksForOne() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, _ async throws in
            let stranger = dashboard.browser()
            for (path, place) in [
                ("/", "/login"), ("/hosts", "/login?next=%2Fhosts"), ("/services/a%2Fb", "/login?next=%2Fservices%2Fa%252Fb"), ("/nothing", "/login"),
            ] {
                let answer = try await stranger.get(path)
                #expect(answer.status == 303 && answer["location"] == place)
            }
            #expect(try await stranger.get("/live?page=%2Fhosts").status == 401)
            #expect(try await stranger.post("/hosts/add", ["name": "web9"]).status == 303)
            #expect(dashboard.store.look { $0.tokens.isEmpty })
        }
    }

    @Test func loggingInLeadsToThePageThatWasAskedFor() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, _ async throws in
            for (next, place) in [
                ("/hosts", "/hosts"), ("//evil.example.com", "/services"), ("https://evil.example.com", "/services"), ("/logout", "/services"),
            ] {
                let browser = dashboard.browser()
                let answer = try await browser.submit("/login", ["name": "ada", "password": DashboardUnderTest.password, "next": next])
                #expect(answer.status == 303 && answer["location"] == place)
            }
        }
    }

    @Test func theCookieIsForTheServerAlone() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, _ async throws in
            let answer = try await dashboard.browser().submit("/login", ["name": "ada", "password": DashboardUnderTest.password])
            let cookie = try #require(answer.headers.first { $0.name == "set-cookie" && $0.value.hasPrefix("rollcall=") }?.value)
            #expect(cookie.hasSuffix("; Path=/; HttpOnly; SameSite=Lax; Max-Age=1209600"))
            let value = try #require(answer.cookies["rollcall"])
            #expect(value.count == 32)
            #expect(dashboard.store.look { $0.sessions.contains { $0.digest == digest(value) } && !$0.sessions.contains { $0.digest == value } })
        }
    }

    @Test func overTLSTheCookieNeverLeavesIt() async throws {
        let store = MemoryStore()
        store.change { $0.users = [UserRecord(name: "ada", passwordHash: PasswordHash(of: DashboardUnderTest.password, cost: cheap).text)] }
        try await DashboardUnderTest.run(store, publicURL: "https://rollcall.example.com") { dashboard async throws in
            let browser = dashboard.browser()
            let token = try await browser.get("/login").formToken
            let answer = try await browser.post(
                "/login", ["name": "ada", "password": DashboardUnderTest.password, "form_token": token],
                headers: [("Origin", "https://rollcall.example.com")])
            let cookie = try #require(answer.headers.first { $0.name == "set-cookie" && $0.value.hasPrefix("__Host-rollcall=") }?.value)
            #expect(cookie.hasSuffix("; Secure"))
            #expect(try await browser.get("/").status == 200)
        }
    }

    @Test func aWrongPasswordAndAnUnknownNameLookTheSame() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, _ async throws in
            let browser = dashboard.browser()
            let wrong = try await browser.submit("/login", ["name": "ada", "password": "wrong password"])
            let unknown = try await browser.submit("/login", ["name": "eve", "password": "wrong password"])
            #expect(wrong.status == 403 && unknown.status == 403)
            #expect(wrong.body.contains("Name or password is wrong.") && unknown.body.contains("Name or password is wrong."))
            #expect(!wrong.body.contains("wrong password"))
        }
    }

    @Test func afterFiveFailuresOneWaits() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, _ async throws in
            let browser = dashboard.browser()
            for _ in 1...5 { #expect(try await browser.submit("/login", ["name": "ada", "password": "wrong password"]).status == 403) }
            let refused = try await browser.submit("/login", ["name": "ada", "password": DashboardUnderTest.password])
            #expect(refused.status == 429 && refused.body.contains("Try again in 1 second."))
            dashboard.time.advance(by: .seconds(1))
            #expect(try await browser.submit("/login", ["name": "ada", "password": DashboardUnderTest.password]).status == 303)
        }
    }

    @Test func behindAProxyOnThisMachineEveryAddressWaitsForItself() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, _ async throws in
            let browser = dashboard.browser()
            let token = try await browser.get("/login").formToken
            let attempt = { (name: String, password: String, address: String) in
                try await browser.post(
                    "/login", ["name": name, "password": password, "form_token": token], headers: [("X-Forwarded-For", "203.0.113.1, \(address)")])
            }
            for number in 1...5 { #expect(try await attempt("guess\(number)", "wrong password", "192.0.2.1").status == 403) }
            #expect(try await attempt("ada", DashboardUnderTest.password, "192.0.2.1").status == 429)
            #expect(try await attempt("ada", DashboardUnderTest.password, "192.0.2.2").status == 303)
        }
    }

    @Test func aSessionEndsAfterTwoWeeks() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, browser async throws in
            dashboard.time.advance(by: .seconds(14 * 86400 - 1))
            #expect(try await browser.get("/").status == 200)
            dashboard.time.advance(by: .seconds(1))
            #expect(try await browser.get("/")["location"] == "/login")
        }
    }

    @Test func loggingOutEndsTheSessionEverywhere() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, browser async throws in
            let copy = dashboard.browser()
            for (name, value) in await browser.cookies { await copy.set(cookie: name, to: value) }
            let answer = try await browser.submit("/logout", from: "/", [:])
            #expect(answer.status == 303 && answer["location"] == "/login")
            #expect(await browser.cookies["rollcall"] == nil)
            #expect(try await copy.get("/").status == 303)
            #expect(dashboard.store.look(\.sessions).isEmpty)
        }
    }

    @Test func aGuessedCookieOpensNothing() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, _ async throws in
            for value in ["", "x", String(repeating: "0", count: 32), dashboard.store.look { $0.sessions[0].digest }] {
                let browser = dashboard.browser()
                await browser.set(cookie: "rollcall", to: value)
                #expect(try await browser.get("/").status == 303)
            }
        }
    }
}

@Suite struct ForgeryStories {
    @Test func aFormWithoutItsTokenIsRefused() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, browser async throws in
            for fields in [["name": "web9"], ["name": "web9", "form_token": ""], ["name": "web9", "form_token": String(repeating: "0", count: 32)]] {
                #expect(try await browser.post("/hosts/add", fields).status == 403)
            }
            #expect(try await browser.post("/logout", [:]).status == 403)
            #expect(dashboard.store.look { $0.tokens.isEmpty && $0.sessions.count == 1 })
        }
    }

    @Test func aFormFromAnotherSiteIsRefused() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, browser async throws in
            let token = try await browser.get("/hosts/add").formToken
            for headers in [[("Origin", "https://evil.example.com")], [("Origin", "null")], [("Sec-Fetch-Site", "cross-site")]] {
                #expect(try await browser.post("/hosts/add", ["name": "web9", "form_token": token], headers: headers).status == 403)
            }
            #expect(dashboard.store.look { $0.tokens.isEmpty })
            #expect(
                try await browser.post("/hosts/add", ["name": "web9", "form_token": token], headers: [("Origin", "http://rollcall.example.com")])
                    .status == 200)
        }
    }

    @Test func aLoginFormNeedsTheTokenOfItsOwnCookie() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, _ async throws in
            let stolen = try await dashboard.browser().get("/login").formToken
            let browser = dashboard.browser()
            let answer = try await browser.post("/login", ["name": "ada", "password": DashboardUnderTest.password, "form_token": stolen])
            #expect(answer.status == 403 && answer.cookies.isEmpty)
        }
    }

    @Test func aFormTooLargeIsRefused() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { _, browser async throws in
            #expect(try await browser.post("/hosts/add", ["name": String(repeating: "x", count: 20_000)]).status == 413)
        }
    }
}

@Suite struct TokenStories {
    @Test func aTokenIsShownOnceAndKeptAsADigest() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, browser async throws in
            let page = try await browser.submit("/hosts/add", ["name": "web9"])
            #expect(page.status == 200 && page["cache-control"] == "no-store")
            let start = try #require(page.body.range(of: "aria-label=\"Token\">"))
            let token = String(page.body[start.upperBound...].prefix { $0 != "<" })
            #expect(token.count == 64)
            #expect(dashboard.store.look { $0.tokens.map(\.digest) } == [digest(token)])
            #expect(page.body.contains("http://rollcall.example.com") && page.body.contains("0600"))
            let list = try await browser.get("/hosts/add")
            #expect(list.body.contains("web9") && !list.body.contains(token))
            let text = page.body.split(separator: token).joined(separator: "TOKEN").split(separator: page.formToken).joined(separator: "FORM-TOKEN")
            let main = try #require(text.range(of: "<main"))
            try expectGolden(String(text[main.lowerBound...]), "new-token.html")
        }
    }

    @Test func aTokenIsNotReplacedByAccident() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, browser async throws in
            _ = try await browser.submit("/hosts/add", ["name": "web9"])
            let before = dashboard.store.look { $0.tokens.map(\.digest) }
            let answer = try await browser.submit("/hosts/add", ["name": " web9 "])
            #expect(answer.status == 422 && answer.body.contains("There is a token of that name."))
            #expect(dashboard.store.look { $0.tokens.map(\.digest) } == before)
        }
    }

    @Test func aTokenIsRemoved() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, browser async throws in
            _ = try await browser.submit("/hosts/add", ["name": "web9"])
            let answer = try await browser.submit("/hosts/remove-token", from: "/hosts/add", ["name": "web9"])
            #expect(answer.status == 303 && answer["location"] == "/hosts/add")
            #expect(dashboard.store.look { $0.tokens.isEmpty })
        }
    }

    @Test(arguments: ["", "  ", String(repeating: "x", count: 65), "a\nb"])
    func aNameIsShortAndVisible(name: String) async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, browser async throws in
            #expect(try await browser.submit("/hosts/add", ["name": name]).status == 422)
            #expect(dashboard.store.look { $0.tokens.isEmpty })
        }
    }
}
