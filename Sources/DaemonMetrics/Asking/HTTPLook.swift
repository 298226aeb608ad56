// A look over HTTP.

import Platform
import Transfer

/// What a page is asked for, and how it is read.
struct Page {
    var request: HTTPRequest
    /// Pure: the numbers in a body.
    var answer: (_ body: [UInt8], _ metrics: [String]) -> DaemonAnswer
    /// What would help when there is no such page.
    var remedy: String

    init(_ request: HTTPRequest, remedy: String, answer: @escaping (_ body: [UInt8], _ metrics: [String]) -> DaemonAnswer) {
        self.request = request
        self.remedy = remedy
        self.answer = answer
    }

    /// What the answer says.
    func read(_ response: HTTPResponse, _ metrics: [String]) -> DaemonAnswer {
        switch response.status {
        case 200 where response.isTruncated: return .failure(DaemonError("the page is longer than \(request.maximumBody) bytes"))
        case 200: return answer(response.body, metrics)
        case 401 where request.credentials == nil: return .failure(DaemonError("answers 401: it wants a username and a password"))
        case 401: return .failure(DaemonError("answers 401: username or password is wrong"))
        case 300...399:
            return .failure(DaemonError("answers \(response.status), a redirect, which is not followed: write the address that it leads to"))
        case 403, 404: return .failure(DaemonError("answers \(response.status): \(remedy)"))
        default: return .failure(DaemonError("answers \(response.status) instead of 200"))
        }
    }
}

/// Fetches one page. It lives on the loop of the transfers.
final class HTTPLook: Look {
    let awaited = "the page"
    private var task: Task<Void, Never>?
    private var isOver = false
    private let page: Page
    private let metrics: [String]
    private let finish: (DaemonAnswer) -> Void

    init(_ page: Page, _ metrics: [String], _ deadline: Duration, transfers: Transfers, _ finish: @escaping (DaemonAnswer) -> Void) {
        self.page = page
        self.metrics = metrics
        self.finish = finish
        var request = page.request
        request.deadline = deadline
        request.connectTimeout = deadline
        let home = Home(self)
        task = Task { [request] in
            let result: Result<HTTPResponse, TransferError>
            do throws(TransferError) {
                result = .success(try await transfers.http(request))
            } catch {
                result = .failure(error)
            }
            transfers.loop.post { home.look.end(result) }
        }
    }

    /// Carries the look to the task and back to the loop, where alone it is used.
    private struct Home: @unchecked Sendable {
        let look: HTTPLook
        init(_ look: HTTPLook) { self.look = look }
    }

    func cancel() {
        isOver = true
        task?.cancel()
    }

    private func end(_ result: Result<HTTPResponse, TransferError>) {
        guard !isOver else { return }
        isOver = true
        switch result {
        case .success(let response): finish(page.read(response, metrics))
        case .failure(let error): finish(.failure(DaemonError(problem(error))))
        }
    }

    private func problem(_ error: TransferError) -> String {
        switch error.kind {
        case .connectionRefused: "\(error.detail): does it run, and listen there?"
        case .untrusted: "\(error.detail): name its authority with ca_file"
        case .protocolError: "what it says is not HTTP: \(error.detail)"
        default: error.detail
        }
    }
}
