// From a request to its answer.

import AggregatorCore
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Platform

/// What a request comes with beside itself.
struct DashboardContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}

struct DashboardResponder: HTTPResponder {
    let configuration: DashboardConfiguration
    let store: any DashboardStore
    let pages: Pages
    let accounts: Accounts
    let live: LiveUpdates
    let reports: ReportsAPI
    let status: StatusAPI
    let deploys: DeploysAPI
    let relay: RelayAPI
    let orders: OrdersAPI
    let time: any TimeSource
    let logger: Logger

    private static let mostFormBytes = 16 << 10

    func respond(to request: Request, context: DashboardContext) async throws -> Response {
        let now = time.now()
        let route = Route(path: request.uri.path)
        var response: Response
        do throws(StoreError) {
            response = try await answer(request, route, context, at: now)
        } catch {
            logger.error("request failed", metadata: ["path": "\(request.uri.path)", "error": "\(error)"])
            if route == .reports {
                response = ReportsAPI.storeFailed
            } else if route?.isForPrograms == true {
                response = DeploysAPI.storeFailed
            } else {
                response = page(MessagePage.storeFailed, status: .serviceUnavailable, at: now)
            }
        }
        for (name, value) in securityHeaders where response.headers[name] == nil { response.headers[name] = value }
        return request.method == .head ? response.createHeadResponse() : response
    }

    private func answer(_ request: Request, _ route: Route?, _ context: DashboardContext, at now: Moment) async throws(StoreError) -> Response {
        let isReading = request.method == .get || request.method == .head
        switch (isReading, request.method == .post, route) {
        case (_, true, .reports): return try await reports.answer(request, at: now.wall)
        case (_, true, .orders): return try await orders.hand(request, context.channel)
        case (_, true, .orderAnswers): return try await orders.take(request)
        case (_, _, .orders), (_, _, .orderAnswers): return DeploysAPI.wrongMethod(allowed: "POST")
        case (_, true, .relay(let verb, let service)): return try await relay.answer(verb, service, request, context.channel, at: now)
        case (_, _, .relay): return DeploysAPI.wrongMethod(allowed: "POST")
        case (_, true, .deploysAPI): return try await deploys.file(request, at: now)
        case (_, _, .deploysAPI), (_, _, .deployAPI): return try await tellDeploys(request, route, isReading: isReading, at: now)
        case (true, _, .status): return await status.answer(at: now.wall)
        case (true, _, .asset(let name)): return Assets.named(name).map(asset) ?? page(MessagePage.notFound, status: .notFound, at: now)
        case (true, _, .login), (true, _, .setup): return try await entrance(request, setup: route == .setup, at: now)
        case (_, true, .login), (_, true, .setup): return try await enter(request, context, setup: route == .setup, at: now)
        default: break
        }
        guard let visitor = try await accounts.visitor(cookie: cookie(.session, of: request), at: now.wall) else {
            return try await sendToEntrance(request, route)
        }
        switch (isReading, request.method == .post, route) {
        case (_, _, nil): return page(MessagePage.notFound, status: .notFound, visitor: visitor, at: now)
        case (true, _, .addHost): return page(try await AddHostPage(store: store, visitor: visitor), route: .addHost, visitor: visitor, at: now)
        case (true, _, .tokens): return page(try await TokensPage(store: store, visitor: visitor), route: .tokens, visitor: visitor, at: now)
        case (true, _, .live): return follow(request, context, visitor, at: now)
        case (true, _, let route?):
            guard let read = try await pages.read(route, at: now.wall) else {
                return page(MessagePage.notFound, status: .notFound, visitor: visitor, at: now)
            }
            return page(read, route: route, visitor: visitor, at: now)
        case (_, true, .logout), (_, true, .addHost), (_, true, .removeToken), (_, true, .tokens), (_, true, .revokeToken):
            return try await act(request, route, visitor, at: now)
        default:
            var response = page(MessagePage.wrongMethod, status: .methodNotAllowed, visitor: visitor, at: now)
            response.headers[.allow] = "GET, HEAD, POST"
            return response
        }
    }

    /// To who is logged in, and to scripts.
    private func tellDeploys(_ request: Request, _ route: Route?, isReading: Bool, at now: Moment) async throws(StoreError) -> Response {
        let isVisitor = try await accounts.visitor(cookie: cookie(.session, of: request), at: now.wall) != nil
        if !isVisitor, try await deploys.script(request) == nil { return DeploysAPI.unknownToken }
        switch route {
        case .deployAPI(let id) where isReading: return try await deploys.read(id)
        case .deploysAPI where isReading: return try await deploys.list(request)
        case .deploysAPI: return DeploysAPI.wrongMethod(allowed: "GET, HEAD, POST")
        default: return DeploysAPI.wrongMethod(allowed: "GET, HEAD")
        }
    }

    // MARK: Coming in

    /// Who is not logged in sees the way in, and comes back to the page that was asked for.
    private func sendToEntrance(_ request: Request, _ route: Route?) async throws(StoreError) -> Response {
        if request.method == .get, route == .live { return Response(status: .unauthorized, headers: [.cacheControl: "no-store"]) }
        if try await accounts.needsSetup() { return redirect(to: Route.setup.path) }
        let isWorthComingBack = request.method == .get && route?.isPlace == true && route != .services
        return redirect(to: Route.login.path + (isWorthComingBack ? "?next=\(percentEncoded(route?.path ?? ""))" : ""))
    }

    private func entrance(_ request: Request, setup: Bool, at now: Moment) async throws(StoreError) -> Response {
        let needsSetup = try await accounts.needsSetup()
        if setup != needsSetup { return redirect(to: needsSetup ? Route.setup.path : Route.login.path) }
        if try await accounts.visitor(cookie: cookie(.session, of: request), at: now.wall) != nil { return redirect(to: Route.services.path) }
        return entrancePage(request, setup: setup, next: next(request.uri.queryParameters["next"].map(String.init)), at: now)
    }

    private func enter(_ request: Request, _ context: DashboardContext, setup: Bool, at now: Moment) async throws(StoreError) -> Response {
        let fields: FormFields
        switch await form(request, token: cookie(.form, of: request)) {
        case .sent(let sent): fields = sent
        case .refused(let refusal, let status): return page(refusal, status: status, at: now)
        }
        let address = clientAddress(request, context)
        let again = { (problem: String, status: HTTPResponse.Status) in
            self.entrancePage(request, setup: setup, next: next(fields["next"]), name: fields["name"], problem: problem, status: status, at: now)
        }
        if setup {
            let outcome = try await accounts.setUp(
                code: fields["code"].trimmed, name: fields["name"].trimmed, password: fields["password"], from: address, at: now)
            switch outcome {
            case .welcome(let cookie):
                logger.notice("first user made", metadata: ["user": "\(fields["name"].trimmed)", "from": "\(address)"])
                return welcome(cookie, to: .services)
            case .closed: return redirect(to: Route.login.path)
            case .invalid(let problem): return again(problem, .unprocessableContent)
            case .wrongCode:
                logger.notice("wrong set-up code", metadata: ["from": "\(address)"])
                return again("That is not the set-up code. It is in the aggregator's log.", .forbidden)
            case .wait(let delay): return later(again, delay)
            case .busy: return again("Too many people are logging in at once. Try again in a moment.", .serviceUnavailable)
            }
        }
        switch try await accounts.logIn(name: fields["name"].trimmed, password: fields["password"], from: address, at: now) {
        case .welcome(let cookie): return welcome(cookie, to: next(fields["next"]))
        case .wrong:
            logger.notice("login refused", metadata: ["from": "\(address)"])
            return again("Name or password is wrong.", .forbidden)
        case .wait(let delay): return later(again, delay)
        case .busy: return again("Too many people are logging in at once. Try again in a moment.", .serviceUnavailable)
        }
    }

    private func later(_ again: (String, HTTPResponse.Status) -> Response, _ delay: Duration) -> Response {
        let seconds = max(1, Int(delay.inSeconds.rounded(.up)))
        var response = again("Too many attempts. Try again in \(counted(seconds, "second")).", .tooManyRequests)
        response.headers[.retryAfter] = String(seconds)
        return response
    }

    /// The form needs a token before there is a session: it is in a cookie of its own.
    private func entrancePage(
        _ request: Request, setup: Bool, next: Route, name: String = "", problem: String? = nil, status: HTTPResponse.Status = .ok, at now: Moment
    ) -> Response {
        let known = cookie(.form, of: request).flatMap { $0.utf8.count == 32 ? $0 : nil }
        let token = known ?? randomHex(bytes: 16)
        let content: any Page =
            setup
            ? SetupPage(formToken: token, problem: problem, name: name) : LoginPage(formToken: token, next: next, problem: problem, name: name)
        var response = page(content, status: status, at: now)
        if known == nil { setCookie(.form, token, lifetime: nil, on: &response) }
        return response
    }

    private func welcome(_ cookie: String, to route: Route) -> Response {
        var response = redirect(to: route.path)
        setCookie(.session, cookie, lifetime: Accounts.sessionLength, on: &response)
        setCookie(.form, "", lifetime: .zero, on: &response)
        return response
    }

    /// A page of ours to go to; whatever else was asked for is the services.
    private func next(_ path: String?) -> Route {
        guard let path, let route = Route(path: path), route.isPlace else { return .services }
        return route
    }

    // MARK: Doing

    private func act(_ request: Request, _ route: Route?, _ visitor: Visitor, at now: Moment) async throws(StoreError) -> Response {
        let fields: FormFields
        switch await form(request, token: visitor.formToken) {
        case .sent(let sent): fields = sent
        case .refused(let refusal, let status): return page(refusal, status: status, visitor: visitor, at: now)
        }
        let name = fields["name"].trimmed
        switch route {
        case .addHost: return try await addToken(name, visitor, at: now)
        case .removeToken:
            try await store.removeAgentToken(name: name)
            logger.notice("agent token removed", metadata: ["name": "\(name)", "user": "\(visitor.name)"])
            return redirect(to: Route.addHost.path)
        case .tokens: return try await addScriptToken(name, visitor, at: now)
        case .revokeToken:
            try await store.removeScriptToken(name: name)
            logger.notice("script token revoked", metadata: ["name": "\(name)", "user": "\(visitor.name)"])
            return redirect(to: Route.tokens.path)
        default:
            try await accounts.logOut(visitor)
            var response = redirect(to: Route.login.path)
            setCookie(.session, "", lifetime: .zero, on: &response)
            return response
        }
    }

    private func addToken(_ name: String, _ visitor: Visitor, at now: Moment) async throws(StoreError) -> Response {
        var problem = problem(ofTokenName: name)
        if problem == nil, try await store.agentTokens().contains(where: { $0.name == name }) {
            problem = "There is a token of that name. Remove it first, or choose another name."
        }
        if let problem {
            let form = try await AddHostPage(store: store, visitor: visitor, problem: problem, name: String(name.prefix(64)))
            return page(form, status: .unprocessableContent, route: .addHost, visitor: visitor, at: now)
        }
        let token = randomHex(bytes: 32)
        try await store.addAgentToken(name: name, digest: digest(token), at: now.wall)
        logger.notice("agent token made", metadata: ["name": "\(name)", "user": "\(visitor.name)"])
        return page(NewTokenPage(name: name, token: token, publicURL: configuration.publicURL), route: .addHost, visitor: visitor, at: now)
    }

    private func addScriptToken(_ name: String, _ visitor: Visitor, at now: Moment) async throws(StoreError) -> Response {
        var problem = problem(ofTokenName: name)
        let token = randomHex(bytes: 32)
        if problem == nil, try await !store.addScriptToken(name: name, digest: digest(token), scope: .deploys, at: now.wall) {
            problem = "There is a token of that name. Revoke it first, or choose another name."
        }
        if let problem {
            let form = try await TokensPage(store: store, visitor: visitor, problem: problem, name: String(name.prefix(64)))
            return page(form, status: .unprocessableContent, route: .tokens, visitor: visitor, at: now)
        }
        logger.notice("script token made", metadata: ["name": "\(name)", "scope": "\(ScriptScope.deploys.rawValue)", "user": "\(visitor.name)"])
        return page(NewScriptTokenPage(name: name, token: token, publicURL: configuration.publicURL), route: .tokens, visitor: visitor, at: now)
    }

    private func problem(ofTokenName name: String) -> String? {
        let isFit = !name.isEmpty && name.count <= 64 && !name.unicodeScalars.contains { $0.properties.generalCategory == .control }
        return isFit ? nil : "The name should have between 1 and 64 characters."
    }

    private enum Form {
        case sent(FormFields)
        case refused(MessagePage, HTTPResponse.Status)
    }

    /// Reads a form that one of our own pages sent.
    /// - Parameter token: what the form has to carry.
    private func form(_ request: Request, token: String?) async -> Form {
        let guardian = FormGuard(publicOrigin: configuration.publicURL)
        guard guardian.trusts(request) else { return .refused(.refused, .forbidden) }
        let body: ByteBuffer
        do {
            body = try await request.body.collect(upTo: Self.mostFormBytes)
        } catch is NIOTooManyBytesError {
            return .refused(.tooLarge, .contentTooLarge)
        } catch {
            return .refused(.refused, .badRequest)  // the connection ended before the form did
        }
        let fields = FormFields(parsing: body.readableBytesView)
        return guardian.matches(fields["form_token"], expected: token) ? .sent(fields) : .refused(.refused, .forbidden)
    }

    // MARK: Following

    private func follow(_ request: Request, _ context: DashboardContext, _ visitor: Visitor, at now: Moment) -> Response {
        guard let path = request.uri.queryParameters["page"], let route = Route(path: String(path)), route.isLive else {
            return page(MessagePage.notFound, status: .notFound, visitor: visitor, at: now)
        }
        if request.method == .head { return Response(status: .ok, headers: [.contentType: "text/event-stream"]) }
        guard let listener = live.listen() else {
            return Response(status: .serviceUnavailable, headers: [.retryAfter: "30", .cacheControl: "no-store"])
        }
        let isWelcome = { @Sendable in
            // When the store fails, nothing is shown and nobody is sent away: the next look decides.
            do { return try await accounts.visitor(digest: visitor.sessionDigest, at: time.now().wall) != nil } catch { return true }
        }
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store", .init("X-Accel-Buffering")!: "no"],
            body: live.events(of: route, to: listener, request: request, channel: context.channel, isWelcome: isWelcome))
    }

    // MARK: Answers

    private func page(_ page: any Page, status: HTTPResponse.Status = .ok, route: Route? = nil, visitor: Visitor? = nil, at now: Moment) -> Response {
        let text = document(page, route: route, visitor: visitor, at: now.wall)
        return Response(
            status: status, headers: [.contentType: "text/html; charset=utf-8", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    private func asset(_ asset: Asset) -> Response {
        Response(
            status: .ok, headers: [.contentType: asset.contentType, .cacheControl: "public, max-age=31536000, immutable"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: asset.text)))
    }

    private func redirect(to path: String) -> Response {
        Response(status: .seeOther, headers: [.location: path, .cacheControl: "no-store"])
    }

    // MARK: Cookies and addresses

    private enum CookieName: String {
        case session = "rollcall"
        case form = "rollcall-form"
    }

    /// With this prefix a browser takes a cookie over TLS alone, and for this host alone.
    private func fullName(_ name: CookieName) -> String { configuration.isSecure ? "__Host-\(name.rawValue)" : name.rawValue }

    private func cookie(_ name: CookieName, of request: Request) -> String? {
        for header in request.headers[values: .cookie] {
            for pair in header.split(separator: ";") {
                let parts = pair.split(separator: "=", maxSplits: 1)
                if parts.count == 2, parts[0].drop(while: { $0 == " " }) == fullName(name) { return String(parts[1]) }
            }
        }
        return nil
    }

    /// - Parameter lifetime: zero takes it back; `nil` ends with the browser's own session.
    private func setCookie(_ name: CookieName, _ value: String, lifetime: Duration?, on response: inout Response) {
        var text = "\(fullName(name))=\(value); Path=/; HttpOnly; SameSite=Lax"
        if let lifetime { text += "; Max-Age=\(lifetime.microseconds / 1_000_000)" }
        if configuration.isSecure { text += "; Secure" }
        response.headers.append(HTTPField(name: .setCookie, value: text))
    }

    /// Who is asking, for counting failures. A proxy on this machine is believed about whom it speaks for.
    private func clientAddress(_ request: Request, _ context: DashboardContext) -> String {
        let address = context.channel.remoteAddress?.ipAddress ?? "unknown"
        guard address == "::1" || address.hasPrefix("127."), let forwarded = request.headers[.init("X-Forwarded-For")!],
            let last = forwarded.split(separator: ",").last
        else { return address }
        return String(String(last).trimmed.prefix(64))
    }
}

extension Route {
    /// Whether it is a page that somebody goes to.
    fileprivate var isPlace: Bool { isLive || self == .addHost || self == .tokens }
}

/// On every answer. Styles and scripts come from files of our own; nothing else loads, and nobody frames a page. The referrer stays on the
/// site but is sent there, for without it browsers say `Origin: null` with a form.
private let securityHeaders: [(HTTPField.Name, String)] = [
    (
        .contentSecurityPolicy,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    (.xContentTypeOptions, "nosniff"),
    (.init("Referrer-Policy")!, "same-origin"),
    (.init("X-Frame-Options")!, "DENY"),
    (.init("Cross-Origin-Opener-Policy")!, "same-origin"),
]

extension String {
    /// Without spaces at its ends.
    fileprivate var trimmed: String {
        var text = self[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
