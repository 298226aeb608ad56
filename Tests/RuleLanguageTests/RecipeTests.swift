import Foundation
import RuleLanguage
import Testing

@Suite struct RecipeTests {
    /// What people copy has to be right.
    @Test(arguments: ["host", "puma", "sidekiq", "postgresql", "redis", "nginx", "jobs"])
    func aRecipeIsReadWithoutFault(name: String) throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let bytes = try Array(Data(contentsOf: root.appendingPathComponent("recipes/rules/\(name).inq")))
        let parsed = RuleFile.parse(bytes, file: "\(name).inq")
        #expect(parsed.faults == [])
        let file = try #require(parsed.file)
        #expect(!file.rules.isEmpty || !file.jobs.isEmpty)
    }

    /// Every example of the manual that is a whole file.
    @Test func theExamplesOfTheManualAreReadWithoutFault() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let manual = try String(contentsOf: root.appendingPathComponent("docs/rules.md"), encoding: .utf8)
        let blocks = manual.components(separatedBy: "```")
        // Every second part is inside.
        var (files, rules) = (0, 0)
        for block in stride(from: 1, to: blocks.count, by: 2).map({ blocks[$0] }) {
            let lines = block.split(separator: "\n", omittingEmptySubsequences: false)
            guard lines.first == "inq" else { continue }
            let text = lines.dropFirst().joined(separator: "\n")
            let isFile = text.contains("check ")
            let parsed = RuleFile.parse(isFile ? text : "check service example\n" + text, file: "rules.md")
            #expect(parsed.faults == [], "\(text)")
            if isFile { files += 1 } else { rules += parsed.file?.rules.count ?? 0 }
        }
        #expect(files >= 3)
        #expect(rules >= 20)
    }
}
