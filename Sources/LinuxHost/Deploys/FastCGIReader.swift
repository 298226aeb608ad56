// An answer that comes in records of FastCGI.

/// Takes the output of the program out of its records, and reads that (FastCGI specification 1.0).
struct FastCGIReader {
    private var waiting: [UInt8] = []
    private var reader = HTTPReader(isCGI: true)

    var isEmpty: Bool { waiting.isEmpty && reader.isEmpty }

    mutating func take(_ bytes: some Sequence<UInt8>) -> HTTPReader.Progress {
        waiting += bytes
        while waiting.count >= 8 {
            let (version, type) = (waiting[0], waiting[1])
            // Answers to request 1: its end, its output, its errors.
            guard version == 1, waiting[2] == 0, waiting[3] == 1, [3, 6, 7].contains(type) else { return .broken(.notHTTP) }
            if type == 3 { return reader.end() }
            let length = Int(waiting[4]) << 8 | Int(waiting[5])
            let end = 8 + length + Int(waiting[6])
            guard waiting.count >= end else { return .reading }
            if type == 6 {
                let progress = reader.take(waiting[8..<(8 + length)])
                if progress != .reading { return progress }
            }
            waiting.removeFirst(end)
        }
        return waiting.first.map { $0 != 1 } ?? false ? .broken(.notHTTP) : .reading
    }

    mutating func end() -> HTTPReader.Progress { .broken(.truncated) }
}
