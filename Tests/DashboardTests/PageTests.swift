// The pages as a browser gets them.

import AgentAPI
import AggregatorCore
import Platform
import TestKit
import Testing

@testable import Dashboard

@Suite struct PageTests {
    private let now = ManualTime().now().wall

    /// What is random goes, so that the rest can be compared.
    private func golden(_ answer: Answer, _ name: String) throws {
        #expect(answer.status == 200)
        let token = answer.formToken
        let text = token.isEmpty ? answer.body : answer.body.split(separator: token, omittingEmptySubsequences: false).joined(separator: "FORM-TOKEN")
        try expectGolden(stableAssets(text), name)
    }

    @Test func mainPages() async throws {
        try await DashboardUnderTest.runLoggedIn(to: Example.store(at: now), runbooks: Example.runbooks) { dashboard, browser async throws in
            for (path, name) in [
                ("/", "services.html"), ("/services/shop", "service.html"), ("/hosts", "hosts.html"), ("/hosts/\(Example.web1)", "host.html"),
                ("/hosts/\(Example.oldWeb2)", "host-retired.html"),
                ("/deploys", "deploys.html"), ("/deploys/d-5af3c1", "deploy.html"), ("/status/details", "health.html"),
            ] {
                try golden(try await browser.get(path), name)
            }
        }
    }

    @Test func aRetiredHostIsNamedOnThePageOfTheNewerOneAlone() async throws {
        try await DashboardUnderTest.runLoggedIn(to: Example.store(at: now)) { _, browser async throws in
            let link = "href=\"/hosts/\(Example.oldWeb2)\""
            #expect(try await !browser.get("/hosts").body.contains("web2-old"))
            #expect(try await browser.get("/hosts").body.contains("1 of 3 hosts is silent"))
            #expect(try await browser.get("/hosts/\(Example.web2)").body.contains(link))
            #expect(try await !browser.get("/hosts/\(Example.web1)").body.contains(link))
            let old = try await browser.get("/hosts/\(Example.oldWeb2)").body
            #expect(old.contains("href=\"/hosts/\(Example.web2)\"") && old.contains("Retired"))
        }
    }

    @Test func emptyPagesSayWhatToDoNext() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, browser async throws in
            try golden(try await browser.get("/"), "services-empty.html")
            try golden(try await browser.get("/hosts"), "hosts-empty.html")
            try golden(try await browser.get("/hosts/add"), "add-host.html")
            try golden(try await browser.get("/deploys"), "deploys-empty.html")
            try golden(try await browser.get("/tokens"), "tokens.html")
        }
    }

    @Test func entrances() async throws {
        try await DashboardUnderTest.run { dashboard async throws in
            try golden(try await dashboard.browser().get("/setup"), "setup.html")
            dashboard.store.change { $0.users = [UserRecord(name: "ada", passwordHash: "")] }
            try golden(try await dashboard.browser().get("/login?next=%2Fhosts"), "login.html")
        }
    }

    @Test func aDeployOfTheLastHourIsMarkedOnItsUnitsPicturesAlone() async throws {
        let store = Example.store(at: now)
        try await DashboardUnderTest.runLoggedIn(to: store) { [now] _, browser async throws in
            let page = try await browser.get("/services/shop").body
            let rows = page.split(separator: "<tr")
            let marked = rows.filter { $0.contains("class=\"mark\"") }
            #expect(
                marked.count == 1 && marked[0].contains("puma.service")
                    && marked[0].contains("; a deploy at \(clockText(now - .seconds(1500))): mixed"))
            #expect(rows.contains { $0.contains("nginx.service") && $0.contains("class=\"spark\"") })
            store.change { $0.deploys[0].verdict = .verified }
            #expect(try await browser.get("/services/shop").body.contains("class=\"mark verified\""))
        }
    }

    @Test func aNameMayHoldASlash() async throws {
        try await DashboardUnderTest.runLoggedIn(to: Example.store(at: now)) { _, browser async throws in
            #expect(try await browser.get("/").body.contains("href=\"/services/search%2Findex\""))
            let page = try await browser.get("/services/search%2Findex")
            #expect(page.status == 200 && page.body.contains("<h1>search/index</h1>"))
        }
    }

    @Test func whatAgentsSendIsEscapedEverywhere() async throws {
        let store = Example.store(at: now)
        let attack = "\"><script>alert(1)</script><i x='"
        store.change { content in
            for index in content.services.indices {
                for problem in content.services[index].problems.indices {
                    content.services[index].problems[problem].subject = attack
                    content.services[index].problems[problem].text = attack
                }
            }
            for index in content.hosts.indices {
                content.hosts[index].name = attack
                content.hosts[index].version = attack
                content.hosts[index].samples.append(.init(attack, 1))
                content.hosts[index].silences = [
                    Silence(kind: .deploy, subject: attack, units: [attack], owner: attack, reason: attack, since: now, until: nil)
                ]
                content.hosts[index].jobs = [
                    JobState(name: attack, schedule: attack, state: .failed, lastRun: nil, due: nil, detail: attack)
                ]
            }
            for index in content.units.indices {
                content.units[index].host = attack
                content.units[index].state.detail = attack
                content.units[index].state.failingRules = [attack]
            }
            for index in content.events.indices {
                content.events[index].host = attack
                content.events[index].event.detail = attack
            }
            for index in content.checks.indices {
                content.checks[index].detail = attack
                content.checks[index].summary = attack
            }
            for index in content.notifications.indices { content.notifications[index].problem = attack }
            content.tokens = [(attack, "x", now)]
            content.scriptTokens = [("y", ScriptToken(name: attack, scope: .deploys, createdAt: now))]
            content.deploys = [Example.hostileDeploy(attack, at: now)]
        }
        try await DashboardUnderTest.runLoggedIn(to: store, runbooks: ["shop": "javascript:alert(1)"]) { _, browser async throws in
            for path in [
                "/", "/services/shop", "/hosts", "/hosts/\(Example.web1)", "/hosts/\(Example.db1)", "/hosts/add", "/deploys", "/deploys/d-0",
                "/tokens",
            ] {
                let page = try await browser.get(path)
                #expect(page.status == 200)
                #expect(!page.body.contains("<script>alert") && !page.body.contains("<i x"), "\(path)")
                #expect(!page.body.contains("href=\"javascript:"))
            }
        }
    }

    @Test func everyAnswerHasTheSecurityHeaders() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, browser async throws in
            for path in ["/", "/nothing", "/login", "/status/", Assets.script.route.path, "/services/nobody"] {
                let answer = try await browser.get(path)
                #expect(answer["content-security-policy"]?.hasPrefix("default-src 'none';") == true, "\(path)")
                #expect(answer["content-security-policy"]?.contains("frame-ancestors 'none'") == true)
                #expect(answer["x-content-type-options"] == "nosniff")
                #expect(answer["referrer-policy"] == "same-origin")
                #expect(!answer.body.contains("style=") && !answer.body.contains("<script>") && !answer.body.contains("onclick"))
            }
        }
    }

    @Test func assetsAreKeptForEverAndPagesNever() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, browser async throws in
            for asset in [Assets.stylesheet, Assets.script, Assets.icon] {
                let answer = try await dashboard.browser().get(asset.route.path)
                #expect(answer.status == 200 && answer["content-type"] == asset.contentType)
                #expect(answer["cache-control"] == "public, max-age=31536000, immutable")
                #expect(answer.body == asset.text)
            }
            #expect(try await browser.get("/")["cache-control"] == "no-store")
            #expect(try await browser.get("/assets/style.css").status == 404)
        }
    }

    @Test func whatIsNotThereIsNotFound() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { _, browser async throws in
            for path in ["/nothing", "/services/nobody", "/hosts/nobody", "/services/%ff"] {
                let answer = try await browser.get(path)
                #expect(answer.status == 404 && answer.body.contains("<h1>Not found</h1>"))
            }
            #expect(try await browser.post("/hosts", [:]).status == 405)
        }
    }

    @Test func aBrokenStoreIsSaidToPeopleAndLoggedOnce() async throws {
        let log = RecordedLog()
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore(), logger: log.logger) { dashboard, browser async throws in
            dashboard.store.change { $0.failure = StoreError(doing: "read services", detail: "disk I/O error") }
            let answer = try await browser.get("/")
            #expect(answer.status == 503)
            #expect(answer.body.contains("The database does not answer") && !answer.body.contains("disk I/O error"))
        }
        #expect(log.lines.filter { $0.contains("disk I/O error") } == ["error request failed error=read services: disk I/O error path=/"])
        #expect(!log.lines.contains { $0.contains(DashboardUnderTest.password) || $0.contains(DashboardUnderTest.setupCode) })
    }

    @Test func aHeadRequestHasNoBody() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, browser async throws in
            let answer = try await exchange(port: dashboard.port, "HEAD", "/", headers: await browser.cookieHeader)
            #expect(answer.status == 200 && answer.body.isEmpty)
        }
    }
}

/// The hashes in the names of assets change with their content, which is not what the goldens are about.
private func stableAssets(_ text: String) -> String {
    var text = text
    for asset in [Assets.stylesheet, Assets.script, Assets.icon] {
        let hash = asset.name.split(separator: ".")[1]
        text = text.split(separator: hash, omittingEmptySubsequences: false).joined(separator: "HASH")
    }
    return text
}
