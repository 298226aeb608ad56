// Asks a Go program: what its package expvar tells of its memory.

import Checks
import Platform
import Transfer

extension DaemonKind {
    /// Parameters: `hostname`, `port` (default 8080), `path` (default /debug/vars), or `url`; `username`, `password`, `password_file`, `ca_file`.
    /// The metrics are the numbers in `memstats`.
    static func memstats(_ transfers: Transfers) -> DaemonKind {
        DaemonKind(word: "memstats") { parameters in
            var reader = ParameterReader(parameters)
            let request = reader.page(port: 8080, path: "/debug/vars")
            let remedy = "import expvar into the program, which serves /debug/vars"
            return reader.finished(
                request.map { .fetching(Page($0, remedy: remedy) { body, _ in memstatsAnswer(body) }, "memstats", transfers) } as LoopReader?)
        }
    }
}

func memstatsAnswer(_ bytes: [UInt8]) -> DaemonAnswer {
    do throws(JSONError) {
        guard let members = try JSON(parsing: bytes)["memstats"]?.members else {
            return .failure(DaemonError("there is no memstats in this page: \(seen(bytes))"))
        }
        var told: [String: Double] = [:]
        for member in members { told[member.name] = member.value.finiteNumber }
        return .success(told)
    } catch {
        return .failure(DaemonError("the page is not JSON (\(error)): \(seen(bytes))"))
    }
}
