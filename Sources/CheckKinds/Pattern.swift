// Regular expressions that a person wrote, on bytes that anybody may have sent.

import CPCRE2

/// A pattern that PCRE2 does not take: why, and at which byte.
struct PatternError: Error, Equatable, CustomStringConvertible {
    var problem: String
    var offset: Int
    var description: String { "\(problem), at byte \(offset)" }
}

/// A compiled pattern (Perl syntax). Matching is bounded in time and memory, however the pattern and the bytes play together.
final class Pattern: Sendable {
    enum Answer: Equatable, Sendable {
        case found, notFound
        /// The limits were reached before there was an answer.
        case tooExpensive
    }

    /// As it was written.
    let text: String
    // Never changed after init; pcre2api(3): a compiled pattern may be used by many threads at once.
    nonisolated(unsafe) private let code: OpaquePointer

    /// For one place in the bytes; a million steps are a few milliseconds of compiled code.
    private static let maximumSteps: UInt32 = 1_000_000
    private static let maximumDepth: UInt32 = 10_000
    private static let maximumHeapKiB: UInt32 = 16_384
    private static let maximumStack = 1 << 20
    /// For all places together: PCRE2's own limits begin anew at each, and `[0-9]*[xy]` on a megabyte of digits would take minutes.
    private static let maximumTime = Duration.milliseconds(250)

    init(_ text: String) throws(PatternError) {
        var problem: Int32 = 0
        var offset = 0
        let bytes = Array(text.utf8)
        // No UTF mode: a body need not be UTF-8, and a pattern's own bytes match as they are. Nothing may name other files or verbs.
        let options = PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UTF | PCRE2_USE_OFFSET_LIMIT
        guard bytes.count <= 4096 else { throw PatternError(problem: "longer than 4096 bytes", offset: 4096) }
        guard let code = bytes.withUnsafeBufferPointer({ pcre2_compile_8($0.baseAddress, bytes.count, options, &problem, &offset, nil) }) else {
            throw PatternError(problem: message(problem), offset: offset)
        }
        // Where the machine has no JIT compiler, matching is slower and stays bounded.
        pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE)
        self.text = text
        self.code = code
    }

    deinit { pcre2_code_free_8(code) }

    /// Whether the pattern matches anywhere in `bytes`.
    func search(_ bytes: [UInt8]) -> Answer {
        guard let data = pcre2_match_data_create_8(1, nil) else { return .tooExpensive }
        defer { pcre2_match_data_free_8(data) }
        guard let context = pcre2_match_context_create_8(nil) else { return .tooExpensive }
        defer { pcre2_match_context_free_8(context) }
        let stack = pcre2_jit_stack_create_8(32_768, Self.maximumStack, nil)
        defer { pcre2_jit_stack_free_8(stack) }
        pcre2_jit_stack_assign_8(context, nil, UnsafeMutableRawPointer(stack))
        pcre2_set_match_limit_8(context, Self.maximumSteps)
        pcre2_set_depth_limit_8(context, Self.maximumDepth)
        pcre2_set_heap_limit_8(context, Self.maximumHeapKiB)

        // Some places at a time, with a look at the clock between.
        let clock = ContinuousClock()
        let begin = clock.now
        var (start, places) = (0, 64)
        while true {
            let end = min(start + places, bytes.count)
            pcre2_set_offset_limit_8(context, end)
            let stepBegin = clock.now
            let result = bytes.withUnsafeBufferPointer { pcre2_match_8(code, $0.baseAddress, bytes.count, start, 0, data, context) }
            guard result == PCRE2_ERROR_NOMATCH else { return result >= 0 ? .found : .tooExpensive }
            if end == bytes.count { return .notFound }
            let now = clock.now
            if now - begin > Self.maximumTime { return .tooExpensive }
            if now - stepBegin < .milliseconds(5) { places *= 4 } else { places = max(64, places / 4) }
            start = end + 1
        }
    }
}

private func message(_ code: Int32) -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    let length = pcre2_get_error_message_8(code, &buffer, buffer.count)
    return length > 0 ? String(decoding: buffer[..<Int(length)], as: UTF8.self) : "error \(code)"
}
