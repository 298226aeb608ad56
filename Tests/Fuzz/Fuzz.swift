// What libFuzzer calls. Its arguments are its own; `PARSER` in the environment says which parser is meant.

import Glibc

private let parser: @Sendable ([UInt8]) -> Void = {
    let name = getenv("PARSER").map { String(cString: $0) } ?? ""
    let parsers = agentParsers.merging(otherParsers) { first, _ in first }
    guard let parser = parsers[name] else {
        print(parsers.keys.sorted().joined(separator: "\n"))
        fflush(nil)
        _exit(name.isEmpty ? 0 : 64)  // libFuzzer takes exit() for a crash
    }
    return parser
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    parser(Array(UnsafeBufferPointer(start: bytes, count: count)))
    return 0
}
