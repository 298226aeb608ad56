@testable import Platform
import Testing

@Suite struct SpareMemoryTests {
    @Test func givesBackAllCodeAndGoesOnAsIfNothingHadHappened() throws {
        let marker: @convention(c) () -> Int32 = { 42 }
        let place = UInt(bitPattern: unsafeBitCast(marker, to: Int.self))
        let segments = SpareMemory.codeSegments()
        #expect(segments.contains { $0.contains(place) })
        let texts = (0..<1000).map { "text \($0)" }
        SpareMemory.giveBack()
        #expect(marker() == 42)
        #expect(texts.last == "text 999")
    }
}
