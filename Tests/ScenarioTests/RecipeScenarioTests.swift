// The recipes for deploys, run as they are.

import Foundation
import TestKit
import Testing

@Suite(.timeLimit(.minutes(6))) struct RecipeScenarioTests {
    /// `Tests/Beds/recipes` says what it runs; it names each recipe that does not keep its promise, and prints how long each took.
    @Test func everyRecipeForDeploysDoesWhatItPromises() async throws {
        let programs = URL(fileURLWithPath: built("verify-token")).deletingLastPathComponent().path
        let end = try await ChildProcess.run(bed("recipes"), [programs], within: .seconds(340))
        #expect(end.status == 0, "\(end.output)\(end.errors)")
        print(end.output, terminator: "")
    }
}
