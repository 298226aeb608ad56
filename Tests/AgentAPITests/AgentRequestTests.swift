import AgentAPI
import Platform
import TestKit
import Testing

@Suite("Requests to the agent, in JSON and in words") struct AgentRequestTests {
    static let requests: [AgentRequest] = [
        .status, .export, .history, .jobs, .testAlerts, .means, .show(unit: nil, metric: "load:1"), .show(unit: "puma", metric: "memory:rss"),
        .explain(unit: nil, rule: nil), .explain(unit: "puma", rule: "memory"),
        .startDeploy(units: [], owner: nil, reason: nil, length: nil),
        .startDeploy(units: ["puma", "sidekiq@1"], owner: "mika", reason: "release 7", length: .seconds(1800)),
        .finishDeploy(units: ["puma"], owner: "mika"), .stopMonitoring(units: ["puma"], reason: "disk swap", length: .seconds(7200)),
        .resumeMonitoring(units: []), .jobStarted(name: "backup"), .jobDone(name: "backup", exitStatus: nil), .jobDone(name: "backup", exitStatus: 3),
        .act(.restart, unit: "puma"), .act(.reload, unit: "puma"), .act(.start, unit: "puma"), .act(.stop, unit: "puma"),
        .cancelDeploy(id: "d-0a1b"),
    ]

    @Test("every request reads back what it writes", arguments: requests)
    func roundTrip(request: AgentRequest) throws {
        #expect(try RequestLine(request.json.bytes) == .program(request))
        #expect(AgentRequest.verbs.contains(request.verb))
    }

    @Test("an answer reads back what it writes")
    func answers() throws {
        let answer = AgentAnswer(isGood: true, text: "puma up\n", json: ["units": [["name": "puma"]]])
        #expect(answer.message.text == #"{"ok":true,"text":"puma up\n","answer":{"units":[{"name":"puma"}]}}"#)
        #expect(try AgentAnswer(message: try JSON(parsing: answer.message.bytes)) == answer)
        #expect(throws: RequestError.self) { try AgentAnswer(message: ["ok": 1]) }
    }

    @Test(
        "Inspeqtor's words mean what they meant",
        arguments: [
            ("status", RequestLine.words(.status)), ("  status \r", .words(.status)), ("export", .words(.export)), ("jobs", .words(.jobs)),
            ("start deploy", .words(.startDeploy(units: [], owner: nil, reason: nil, length: nil))),
            ("start deploy puma nginx", .words(.startDeploy(units: ["puma", "nginx"], owner: nil, reason: nil, length: nil))),
            ("finish deploy", .words(.finishDeploy(units: [], owner: nil))), ("show host load:1", .words(.show(unit: nil, metric: "load:1"))),
            ("show puma memory:rss", .words(.show(unit: "puma", metric: "memory:rss"))),
            ("job_done nightly backup", .words(.jobDone(name: "nightly backup", exitStatus: nil))), ("help", .help), ("♡", .heart), ("♥", .heart),
        ])
    func words(line: String, meaning: RequestLine) throws {
        #expect(try RequestLine(line.utf8) == meaning)
    }

    @Test(
        "what makes no sense is told why",
        arguments: [
            ("", "the line is empty; `help` says what can be asked"), ("stauts", "unknown command: stauts; `help` says what can be asked"),
            ("start", "unknown command: start; `help` says what can be asked"),
            ("show puma", "`show` wants to know what: show host load:1, show puma memory:rss"),
            ("job_done", "`job_done` wants the job's name: job_done backup"),
            ("{", "the request is not in JSON: expected a member's name in quotes at byte 1"), ("{}", "the request says no `request`"),
            (#"{"request":"show"}"#, "the request says no `metric`"), (#"{"request":"restart"}"#, "the request says no `unit`"),
            (#"{"request":"restart","unit":7}"#, "`unit` is not a text"),
            (#"{"request":"restart","unit":"a\nb"}"#, "`unit` holds control characters"),
            (#"{"request":"deploy_start","units":"puma"}"#, "`units` is not a list of at most 1000 names"),
            (#"{"request":"deploy_start","units":[""]}"#, "`units` holds something that is no name"),
            (#"{"request":"deploy_start","length_ms":0}"#, "`length_ms` is not between a millisecond and a year"),
            (#"{"request":"deploy_start","length_ms":99999999999999}"#, "`length_ms` is not between a millisecond and a year"),
            (#"{"request":"job_done","name":"a","exit_status":-1}"#, "`exit_status` is not between 0 and 255"),
            (#"{"request":"dance"}"#, "this agent does not know the request `dance`; is it older than the program that asks?"),
        ])
    func problems(line: String, problem: String) {
        let error = #expect(throws: RequestError.self) { try RequestLine(line.utf8) }
        #expect(error?.problem == problem)
    }

    @Test("bytes that are no text, and lines too long, are refused")
    func bytes() {
        #expect(throws: RequestError.self) { try RequestLine([0x73, 0xFF]) }
        #expect(throws: RequestError.self) { try RequestLine([UInt8](repeating: 97, count: RequestLimits.line + 1)) }
        #expect(throws: RequestError.self) { try RequestLine("status \u{1B}[2J".utf8) }
    }

    @Test("no bytes make it crash, and what it takes can be said again")
    func mutations() {
        Mutations.run(seeds: Mutations.seeds("agent-request")) { bytes in
            guard let line = try? RequestLine(bytes) else { return }
            switch line {
            case .program(let request), .words(let request):
                // Times are said in milliseconds, and texts as they are: nothing is lost on the way.
                #expect((try? AgentRequest(request.json)) == request)
            case .help, .heart: break
            }
        }
    }

    @Test("no bytes make the reader of answers crash, and what it takes can be said again")
    func mutatedAnswers() {
        Mutations.run(seeds: Mutations.seeds("agent-answer")) { bytes in
            guard let json = try? JSON(parsing: bytes) else { return }
            if let answer = try? AgentAnswer(message: json), (try? AgentAnswer(message: answer.message)) != answer {
                Issue.record("not read again: \(json.text)")
            }
            if let result = try? OrderResult(json), (try? OrderResult(result.json)) != result { Issue.record("not read again: \(json.text)") }
        }
    }
}
