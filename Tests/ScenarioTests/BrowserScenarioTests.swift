// A person with a browser looks at a real site.

import AgentAPI
import AggregatorCore
import Foundation
import SQLiteStore
import TestKit
import Testing

@Suite struct BrowserScenarioTests {
    /// Chromium makes the first user with the printed set-up code, logs in, reads every page at desktop and phone width, and waits for a
    /// live update: `Tests/Beds/chromium` says what it looks for.
    @Test func aBrowserWalksThroughALiveSite() async throws {
        try await Site.with(
            layout: "unified",
            rules: [
                "services.d/victim.inq": "check service victim\n  if memory:rss > 1g then alert\n",
                "services.d/fragile.inq": "check service fragile\n",
                "services.d/grower.inq": "check service grower\n  if memory:total_rss > 1m then alert team\n",
                "host.inq": "check host\n  if load:5 > 1000 then alert\n",
            ],
            services: """
                services:
                  - name: Shop
                    units: [victim.service, grower.service]
                    runbook: https://runbooks.example.com/shop
                    checks:
                      - name: status page
                        every: 2s
                        http:
                          url: http://127.0.0.1:PORT/status/
                          matches: ^Checks running$
                """
        ) { site in
            _ = try await site.kill("fragile")
            try await eventually("the check has run and a rule has failed") {
                guard let check = try await site.store().checks(ofService: "Shop").first, !check.isFailing, check.lastRun != nil else { return false }
                return try await site.events().contains { $0.kind == .ruleFailed }
            }
            let status = try await Site.status(port: site.port)
            #expect(status.code == 200)
            #expect(status.body == "Checks running")

            let code = try #require(site.aggregator?.text.firstMatch(of: #/set-up code (\S+)/#)?.1)
            let walked = try await ChildProcess.run(
                bed("chromium"), ["http://127.0.0.1:\(site.port)", site.folder.path + "/pictures"],
                environment: ["ROLLCALL_SETUP_CODE": String(code), "ROLLCALL_PASSWORD": "battery staple"], within: .seconds(180))
            #expect(walked.status == 0, "\(walked.text)")
        }
    }
}
