// The web server of Tests/Beds, started once for all tests.

import Foundation
import TestKit
import Transfer

/// A running `Tests/Beds/web`. It ends with the test process, whose end closes its standard input.
struct WebBed: Sendable {
    private static let starting = Task { try await WebBed() }
    static var shared: WebBed { get async throws { try await starting.value } }

    let plainPort: Int
    let tlsPort: Int
    /// The authority of its certificate, which is for `localhost` alone.
    let authority: String
    private let process: ChildProcess

    private init() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("rollcall-web-\(UUID().uuidString)").path
        process = try ChildProcess(bed("web"), [folder])
        let numbers = try await process.whenReady(folder + "/ports").split(separator: " ").compactMap { Int($0) }
        guard numbers.count == 2 else { throw CocoaError(.fileReadCorruptFile) }
        (plainPort, tlsPort) = (numbers[0], numbers[1])
        authority = folder + "/ca.pem"
    }

    func url(_ path: String, host: String = "127.0.0.1") -> String { "http://\(host):\(plainPort)\(path)" }
    func tlsURL(_ path: String, host: String = "localhost") -> String { "https://\(host):\(tlsPort)\(path)" }
}

/// A request for the bed; `change` sets what the test is about.
func request(_ url: String, _ change: (inout HTTPRequest) -> Void = { _ in }) throws -> HTTPRequest {
    var request = HTTPRequest(try Endpoint.parse(url).0)
    request.deadline = .seconds(10)
    change(&request)
    return request
}

/// A port on loopback that nobody listens on.
func closedPort() -> Int {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            _ = bind(socket, address, length)
            _ = getsockname(socket, address, &length)
        }
    }
    return Int(UInt16(bigEndian: address.sin_port))
}
