// What agents and aggregator say on the line of orders is read as it was written, and in no other way.

import AgentAPI
import Platform
import TestKit
import Testing

@Suite struct OrderLineTests {
    @Test func aCallAHandoutAndAnswersReadBackWhatTheyWrite() throws {
        let call = OrderCall(underWay: ["0a", "0b"])
        #expect(try OrderCall(JSON(parsing: call.json.text)) == call)
        let preparation = DeployPreparation(id: "d-0a", service: "web", token: "0123456789abcdef0123456789abcdef")
        let handout = OrderHandout(
            orders: [
                AgentOrder(id: "1", request: .success(.prepareDeploy(preparation))),
                AgentOrder(id: "2", request: .success(.checkDeploy(DeployCheck(deploy: "d-0a", service: "web")))),
                AgentOrder(id: "3", request: .success(.cancelDeploy(id: "d-0a"))),
            ], over: ["4"])
        #expect(try OrderHandout(JSON(parsing: handout.json.text)) == handout)
        let answers = OrderAnswers(answers: [
            OrderAnswer(id: "1", isFinal: true, answer: .refused("no")),
            OrderAnswer(id: "2", isFinal: false, answer: AgentAnswer(text: "MIXED\n", json: ["state": "MIXED"])),
        ])
        #expect(try OrderAnswers(JSON(parsing: answers.json.text)) == answers)
    }

    @Test func passwordsDoNotTravelOnIt() {
        var check = DeployCheck(service: "web", token: "0123456789abcdef")
        check.question = TokenQuestion(path: "/t", user: "about", password: Secret("open sesame"))
        let text = OrderHandout(orders: [AgentOrder(id: "1", request: .success(.checkDeploy(check)))]).json.text
        #expect(!text.contains("about") && !text.contains("sesame"))
    }

    @Test(arguments: [
        "{}", "[]", #"{"orders":[{"id":""}],"over":[]}"#, #"{"orders":[],"over":["../etc"]}"#, #"{"orders":{},"over":[]}"#,
        #"{"under_way":[7]}"#, #"{"answers":[{"id":"1","ok":true,"text":""}]}"#, #"{"answers":[{"id":"1","final":true,"text":""}]}"#,
    ])
    func whatMakesNoSenseIsRefused(text: String) throws {
        let json = try JSON(parsing: text)
        #expect(throws: ReportError.self) { try OrderCall(json) }
        #expect(throws: ReportError.self) { try OrderHandout(json) }
        #expect(throws: ReportError.self) { try OrderAnswers(json) }
    }

    @Test func aStateIsTheSameWhileOnlyTimeGoesBy() {
        var state = HostDeploy(
            service: "web", host: "web1", state: .mixed, since: Timestamp(seconds: 1), evidence: "attributed-http",
            processes: [.init(pid: 7, role: .worker, class: .old, age: .seconds(1), exec: "same-as-baseline")])
        let first = state
        state.processes[0].age = .seconds(9)
        #expect(state.isInTheStateOf(first))
        state.processes[0].class = .draining
        #expect(!state.isInTheStateOf(first))
    }

    @Test func noBytesMakeItsReadersCrash() {
        var read = 0
        Mutations.run(seeds: Mutations.seeds("order-line")) { bytes in
            guard let json = try? JSON(parsing: bytes) else { return }
            if let call = try? OrderCall(json) { read += call.underWay.count <= OrderLine.orders ? 1 : 0 }
            if let handout = try? OrderHandout(json) {
                read += 1
                if handout.orders.allSatisfy({ (try? $0.request.get()) != nil }), (try? OrderHandout(handout.json)) != handout {
                    Issue.record("not read again: \(json.text)")
                }
            }
            if let answers = try? OrderAnswers(json), (try? OrderAnswers(answers.json)) != answers { Issue.record("not read again: \(json.text)") }
        }
        #expect(read > 30)
    }
}
