import AgentAPI
import AgentCore
import Platform
import Testing

@testable import AgentTalker

@Suite struct ReportOutcomeTests {
    @Test(arguments: [
        (200, "{\"acknowledged\":17}", ReportOutcome.acknowledged(Acknowledgement(sequence: 17))),
        (200, "{\"acknowledged\":0}", .acknowledged(Acknowledgement(sequence: 0))),
        (200, "<html>", .failed(why: "it answered without an acknowledgement: is it an aggregator?")),
        (200, "{\"acknowledged\":-1}", .failed(why: "it answered without an acknowledgement: is it an aggregator?")),
        (400, "{\"error\":\"report.at is missing\"}", .refused(words: "report.at is missing")),
        (400, "{\"error\":\"two\\nlines\"}", .refused(words: "two lines")),
        (400, "", .refused(words: "it gave no reason")),
        (401, "", .unauthorized(status: 401, words: nil)),
        (403, "{\"error\":\"not yours\"}", .unauthorized(status: 403, words: "not yours")),
        (413, "", .tooLarge),
        (415, "", .packingUnknown),
        (503, "{\"error\":\"the store failed\"}", .failed(why: "it answered HTTP 503: the store failed")),
        (302, "", .failed(why: "it answered HTTP 302")),
    ])
    func answersMean(_ status: Int, _ body: String, _ outcome: ReportOutcome) {
        #expect(ReportOutcome(status: status, body: Array(body.utf8)) == outcome)
    }

    @Test func waitsDoubleUpToTheLast() {
        var backoff = Backoff(first: .seconds(1), last: .seconds(60))
        #expect((0..<8).map { _ in backoff.next(chance: 1) } == [1, 2, 4, 8, 16, 32, 60, 60].map { Duration.seconds($0) })
        #expect((0..<100).allSatisfy { _ in backoff.next(chance: 0) == .seconds(30) })
        backoff.reset()
        #expect(backoff.next(chance: 0) == .milliseconds(500))
        backoff.skipToLast()
        #expect(backoff.next(chance: 1) == .seconds(60))
    }

    @Test func aSnapshotIsCutToWhatAnAggregatorTakes() throws {
        let many = (0..<300).map { Sample("family:\($0)", Double($0)) }
        var large = snapshot([Sample("cpu", .nan), Sample("load", .infinity), Sample(String(repeating: "m", count: 201), 1)] + many)
        large.units[0].detail = String(repeating: "d", count: 10000)
        large.units[0].failingRules = (0..<2000).map { _ in String(repeating: "r", count: 5000) }
        large.units += (0..<6000).map {
            UnitState(name: "\($0)", initSystem: "systemd", phase: .up, since: nil, mainPID: nil, detail: "", samples: [], failingRules: [])
        }
        let bounded = large.bounded(samples: true)
        let report = Report(
            agent: String(repeating: "a", count: 32), host: "h", version: "1", at: bounded.at, interval: .seconds(1), events: [],
            units: bounded.units, samples: bounded.samples)
        #expect(try Report(JSON(parsing: report.json.bytes)).units.count == 5000)
        #expect(bounded.units[0].samples == Array(many.prefix(200)))
        #expect(large.bounded(samples: false).units[0].samples.isEmpty)
    }
}

@Suite struct TalkerConfigurationTests {
    private func fault(
        host: String = "app-1", interval: Duration = .seconds(10), aggregator: TalkerConfiguration.Aggregator? = nil,
        endpoint: TalkerConfiguration.Endpoint? = nil
    ) -> String {
        do throws(TalkerError) {
            _ = try CheckedConfiguration(
                TalkerConfiguration(host: host, version: "1.0", interval: interval, stateFolder: "/", aggregator: aggregator, endpoint: endpoint))
            return ""
        } catch {
            return error.description
        }
    }

    @Test func whatCannotWorkIsSaid() throws {
        let address = try AggregatorAddress(parsing: "https://localhost")
        #expect(fault(host: "") == "the host's name is empty or longer than 255 bytes")
        #expect(fault(interval: .zero) == "the interval is not between a millisecond and a day")
        #expect(
            fault(aggregator: .init(address: address, token: Secret("two words")))
                == "the aggregator's token is empty or holds spaces or other characters that no token has")
        #expect(
            fault(aggregator: .init(address: address, token: Secret("t"), caFile: "/nowhere"))
                == "the aggregator's CA file cannot be read from /nowhere: it should hold certificates in PEM")
        #expect(
            fault(endpoint: .init(address: "localhost", user: "u", password: Secret("p")))
                == "the deploy endpoint has no IP address to listen on: localhost")
        #expect(fault(endpoint: .init(port: 70000, user: "u", password: Secret("p"))) == "the deploy endpoint has a port that is none: 70000")
        #expect(
            fault(endpoint: .init(user: "a:b", password: Secret("p")))
                == "the deploy endpoint needs a user (without colons and spaces) and a password")
        #expect(
            fault(endpoint: .init(user: "u", password: Secret(""))) == "the deploy endpoint needs a user (without colons and spaces) and a password")
        #expect(
            fault(endpoint: .init(address: "0.0.0.0", user: "u", password: Secret("p")))
                == "the deploy endpoint listens on 0.0.0.0 and needs a certificate and a key: its password would travel in the clear")
        #expect(
            fault(endpoint: .init(user: "u", password: Secret("p"), certificateFile: "/c"))
                == "the deploy endpoint has a certificate without a key or a key without a certificate")
    }

    @Test func theSystemsCertificatesDoWithoutAFile() throws {
        #expect(fault(aggregator: .init(address: try AggregatorAddress(parsing: "https://localhost"), token: Secret("t"))) == "")
    }

    @Test(arguments: ["": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==", "fooba": "Zm9vYmE=", "foobar": "Zm9vYmFy"])
    func base64IsThatOfTheStandard(_ text: String, _ encoded: String) {
        #expect(base64(Array(text.utf8)) == encoded)
    }
}
