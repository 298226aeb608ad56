// How it is found out how workers have to be asked.

import AgentAPI
import Testing

@testable import DeployVerification

/// Applications, as what they answer to a way of asking.
@Suite struct WaySearchTests {
    typealias Application = (AskingWay) -> AskingOutcome

    static let token = AskingOutcome.answer(.token("0123456789abcdef"))
    static func other(_ status: Int, _ location: String? = nil) -> AskingOutcome {
        .answer(.other(OtherAnswer(status: status, bytes: 10, location: location)))
    }

    /// Asks until there is a token or nothing left to try.
    /// - Returns: the search, and how many questions it took.
    static func search(
        _ question: TokenQuestion = TokenQuestion(path: "/about/deploy"), commands: [String] = ["app"], _ application: Application
    ) -> (search: WaySearch, questions: Int) {
        var search = WaySearch(question, address: "127.0.0.1:8080", names: ["app-1"], commands: commands)
        var questions = 1
        search.take(application(search.way), for: search.way)
        while let way = search.next() {
            questions += 1
            guard search.take(application(way), for: way), questions < 50 else { break }
        }
        return (search, questions)
    }

    @Test func whatIsRightAtOnceIsAskedOnce() {
        let (search, questions) = Self.search { _ in Self.token }
        #expect(search.hasFound && questions == 1 && search.way.host == "127.0.0.1:8080")
    }

    @Test func aRedirectToHTTPSIsToldThatItWasAskedOverIt() {
        let (search, questions) = Self.search { $0.saysHTTPS ? Self.token : Self.other(301, "https://127.0.0.1/about/deploy") }
        #expect(search.hasFound && search.way.saysHTTPS && !search.way.isTLS && questions == 2)
    }

    @Test func hostsAreTriedUntilOneIsAccepted() {
        let (search, _) = Self.search { hostName($0.host) == "localhost" ? Self.token : Self.other(400) }
        #expect(search.hasFound && search.way.host == "localhost")
    }

    @Test func namesFromOutsideComeBeforeTheAddress() {
        let question = TokenQuestion(path: "/about/deploy", otherHosts: ["app.example.com"])
        let (search, questions) = Self.search(question) { $0.host == "app.example.com" ? Self.token : Self.other(403) }
        #expect(search.hasFound && questions == 1)
    }

    @Test func hostAndHTTPSAreFoundTogether() {
        let question = TokenQuestion(path: "/about/deploy", otherHosts: ["elsewhere", "app.example.com"])
        let (search, questions) = Self.search(question) { way in
            way.host != "app.example.com" ? Self.other(403) : way.saysHTTPS ? Self.token : Self.other(308, "https://app.example.com/about/deploy")
        }
        #expect(search.hasFound && search.way == AskingWay(host: "app.example.com", saysHTTPS: true))
        #expect(questions == 3)
    }

    @Test func theNameThatARedirectSendsToIsTried() {
        let (search, _) = Self.search { $0.host == "www.example.com" ? Self.token : Self.other(301, "http://www.example.com/about/deploy") }
        #expect(search.hasFound && search.way.host == "www.example.com" && !search.way.saysHTTPS)
    }

    @Test(arguments: [
        AskingOutcome.answer(.lost), .answer(.silence), .strange(isTLS: true), .strange(isTLS: false),
        .answer(.other(OtherAnswer(status: 400, bytes: 200, wantsTLS: true))),
    ])
    func tlsIsTriedWherePlainHTTPIsNotUnderstood(outcome: AskingOutcome) {
        let (search, questions) = Self.search { $0.isTLS ? Self.token : outcome }
        #expect(search.hasFound && search.way.isTLS && questions == 2)
    }

    @Test func whatTheSettingsSayIsNotTriedOtherwise() {
        let (search, questions) = Self.search(TokenQuestion(path: "/", tls: .off)) { _ in .answer(.lost) }
        #expect(!search.hasFound && questions == 1)
        let (other, _) = Self.search(TokenQuestion(path: "/", tls: .on)) { $0.isTLS ? Self.token : .answer(.lost) }
        #expect(other.tries.count == 1 && other.hasFound)
    }

    @Test func uwsgiWorkersAreAskedInTheirProtocol() {
        let (search, _) = Self.search(commands: ["uwsgi"]) { $0.language == .uwsgi ? Self.token : .answer(.lost) }
        #expect(search.hasFound && search.way.language == .uwsgi)
    }

    @Test func phpIsAskedInNothingButFastCGI() {
        let (search, questions) = Self.search(commands: ["php-fpm8.2"]) { $0.language == .fastcgi ? Self.token : .answer(.lost) }
        #expect(search.hasFound && questions == 1)
    }

    @Test func anApplicationThatAcceptsNothingIsAskedAFewTimes() {
        for application: Application in [
            { _ in Self.other(400) }, { _ in Self.other(301, "https://a.example.com/") }, { _ in .answer(.lost) },
            { way in Self.other(302, "https://\(way.host)x/about/deploy") },
        ] {
            let (search, questions) = Self.search(TokenQuestion(path: "/about/deploy"), application)
            #expect(!search.hasFound && questions <= WaySearch.most)
            #expect(search.way.host == "127.0.0.1:8080" || search.way.isTLS || search.way.saysHTTPS)
        }
    }

    @Test func whatIsDeniedOrAnsweredOtherwiseIsNotTriedOn() {
        for outcome in [AskingOutcome.answer(.accessDenied(status: 401)), Self.other(200), Self.other(405)] {
            #expect(Self.search { _ in outcome }.questions == 1)
        }
    }

    @Test func aLimitOfRequestsEndsTheSearchForNow() {
        var search = WaySearch(TokenQuestion(path: "/"), address: "127.0.0.1:1", names: [], commands: [])
        var goesOn = search.take(Self.other(301, "https://127.0.0.1/"), for: search.way)
        #expect(goesOn)
        let first = search.next()
        #expect(first?.saysHTTPS == true)
        if let first { goesOn = search.take(Self.other(429), for: first) }
        #expect(!goesOn)
        // The same way another time.
        let again = search.next()
        #expect(again == first)
    }

    @Test func othersThatCameWithTheDeployMayWantSomethingElse() {
        var (search, _) = Self.search { _ in Self.token }
        search.reopen()
        let nothing = search.next()
        #expect(nothing == nil)
        search.take(Self.other(301, "https://127.0.0.1/about/deploy"), for: search.way)
        let way = search.next()
        #expect(way?.saysHTTPS == true)
        if let way { search.take(Self.token, for: way) }
        #expect(search.hasFound && search.way.saysHTTPS)
    }

    @Test func aServerThatIsJustRestartedChangesNothing() {
        var (search, _) = Self.search { _ in Self.token }
        let way = search.way
        search.reopen()
        search.take(.answer(.lost), for: way)
        while let other = search.next() { search.take(.tlsFailed("the TLS handshake failed"), for: other) }
        #expect(search.way == way && !search.hasFound)
        // Nor does one that has never answered yet.
        let (first, _) = Self.search { $0.isTLS ? .tlsFailed("the TLS handshake failed") : .answer(.lost) }
        #expect(!first.way.isTLS)
    }

    @Test(
        arguments: [
            ("https://app.example.com/about/deploy?x=1", true, "app.example.com", "/about/deploy"), ("/login", false, nil, "/login"),
            ("http://user:pw@[::1]:80/x", false, "[::1]:80", "/x"), ("//cdn/x#y", false, "cdn", "/x"), ("https://a b/", true, nil, "/"),
            ("", false, nil, ""),
            ("login?next=http://x", false, nil, "login"),
        ] as [(String, Bool, String?, String)])
    func locationsAreTakenApart(text: String, isHTTPS: Bool, host: String?, path: String) {
        let parts = LocationParts(text)
        #expect(parts.isHTTPS == isHTTPS && parts.host == host && parts.path == path, "\(parts)")
    }
}
