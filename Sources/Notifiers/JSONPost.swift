// One JSON text for one address, and what the answer means for the message.

import Messages
import Platform
import Transfer

/// Hands JSON to an HTTP service, 30 s at most, and judges its answer.
struct JSONPost: Sendable {
    let notifier: String
    let endpoint: Endpoint
    /// PEM file of the authorities to trust instead of the system's.
    let authorities: String?
    let credentials: Credentials?
    /// What the service may repeat in its answer, and nobody else is to read.
    let secrets: [Secret]
    let transfers: Transfers

    /// A provider that wants to be left alone for longer is asked again then all the same.
    static let longestWait = Duration.seconds(600)
    static let deadline = Duration.seconds(30)

    func send(_ body: [UInt8], headers: [(name: String, value: String)] = []) async throws(DeliveryError) {
        var request = HTTPRequest(endpoint)
        request.method = "POST"
        request.headers = [("Content-Type", "application/json")] + headers
        request.body = body
        request.credentials = credentials
        request.deadline = Self.deadline
        request.maximumBody = 4096
        request.authorities = authorities
        let response: HTTPResponse
        do throws(TransferError) {
            response = try await transfers.http(request)
        } catch {
            throw DeliveryError(notifier: notifier, remedy: error.kind == .badRequest ? .correct : .retry, detail: error.detail)
        }
        guard !(200...299).contains(response.status) else { return }
        throw DeliveryError(notifier: notifier, remedy: Self.remedy(for: response.status), detail: detail(response), wait: wait(response))
    }

    /// Too busy, too many, too slow: that passes. Every other refusal is meant.
    static func remedy(for status: Int) -> DeliveryError.Remedy {
        switch status {
        case 408, 425, 429, 500...599: .retry
        default: .correct
        }
    }

    private func wait(_ response: HTTPResponse) -> Duration? {
        guard let text = response.header("Retry-After"), let seconds = Int64(text), seconds > 0 else { return nil }
        return min(Self.longestWait, .seconds(min(seconds, 86400)))
    }

    private func detail(_ response: HTTPResponse) -> String {
        let said = String(decoding: response.body.prefix(600), as: UTF8.self).unicodeScalars.map { scalar in
            scalar.properties.generalCategory == .control ? " " : String(scalar)
        }.joined()
        let words = hidden(said).split(separator: " ").joined(separator: " ").prefix(120)
        return "the server answered \(response.status)" + (words.isEmpty ? "" : ": \(words)")
    }

    /// What a service says, without what nobody else is to read. A secret that is as short as a syllable would be everywhere: where one
    /// occurs, nothing is repeated.
    private func hidden(_ text: String) -> String {
        var text = Array(text.utf8)
        for secret in secrets {
            let word = Array(secret.reveal().utf8)
            guard !word.isEmpty else { continue }
            while let start = text.indices.first(where: { text[$0...].starts(with: word) }) {
                guard word.count >= 8 else { return "" }
                text.replaceSubrange(start..<(start + word.count), with: "…".utf8)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
