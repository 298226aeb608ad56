// Answers over HTTP which deploy token a unit's main process carries.

import AgentCore
import Logging
import NIOCore
import NIOHTTP1
import Platform

/// `GET /about/deploy/UNIT` with basic authentication, in plain text: exactly the token that the unit's main process was started
/// with, or a word that is no token: `none`, `down`. One request a connection.
///
/// It lives on the event loop. What a stranger can make it do is bounded: connections, bytes and time of each, guesses a second.
final class DeployEndpoint {
    struct Limits: Sendable {
        var listener = HTTPListener.Limits()
        var failuresPerSecond = 10
    }

    private let tokens: DeployTokens
    private let time: any TimeSource
    private var login: BasicLogin
    private var settings: CheckedConfiguration.Endpoint?
    private var listener: HTTPListener?

    init(tokens: DeployTokens, time: any TimeSource, limits: Limits = Limits(), eventLoop: any EventLoop, logger: Logger) {
        self.tokens = tokens
        self.time = time
        login = BasicLogin(failuresPerSecond: limits.failuresPerSecond)
        listener = HTTPListener("deploy endpoint", limits: limits.listener, eventLoop: eventLoop, logger: logger) { [unowned self] head in
            answer(to: head)
        }
    }

    /// Where it listens at present.
    var address: SocketAddress? { listener?.address }

    /// Listens as these settings say, or nowhere. Credentials and certificates count from the next connection on.
    func listen(_ new: CheckedConfiguration.Endpoint?) {
        settings = new
        listener?.listen(new?.place)
    }

    /// Stops to listen; requests that are being answered are.
    func close() { listener?.close() }

    private func answer(to head: HTTPRequestHead) -> HTTPListener.Answer {
        let now = time.now()
        guard let settings else { return HTTPListener.Answer(.serviceUnavailable, "This endpoint is closing.") }
        switch login.verdict(on: head, credential: settings.credential, at: now.uptime) {
        case .known: break
        case .unknown: return .unauthorized
        case .tooManyFailures: return .tooManyFailures
        }
        guard head.method == .GET || head.method == .HEAD else {
            return HTTPListener.Answer(.methodNotAllowed, "Only GET and HEAD are answered here.", field: ("Allow", "GET, HEAD"))
        }
        let path = head.uri.prefix { $0 != "?" }
        guard path.hasPrefix("/about/deploy/"), path.utf8.count > 14 else {
            return HTTPListener.Answer(.notFound, "There is nothing here; ask for /about/deploy/UNIT.")
        }
        guard let unit = percentDecoded(path.dropFirst(14)) else { return .broken }
        switch tokens.answer(for: unit, now: now) {
        case .token(let token): return HTTPListener.Answer(.ok, token)
        case .none: return HTTPListener.Answer(.ok, "none")
        case .down: return HTTPListener.Answer(.ok, "down")
        case .unwatched: return HTTPListener.Answer(.notFound, "No unit of this name is watched here.")
        }
    }
}

/// `nil` for a percent sign without two hex digits, and for what is not UTF-8.
func percentDecoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8
    while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "%") else {
            bytes.append(byte)
            continue
        }
        let digits = rest.prefix(2)
        guard digits.count == 2, digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
            let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
        else { return nil }
        bytes.append(value)
        rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
}
