// The recipes for deploys, run as they are.

import TestKit
import Testing

@Suite(.timeLimit(.minutes(5))) struct RecipeScenarioTests {
    /// `Tests/Beds/recipes` says what it runs; it names each recipe that does not keep its promise.
    @Test func everyRecipeForDeploysDoesWhatItPromises() async throws {
        let end = try await ChildProcess.run(bed("recipes"), [built("rollcall")], within: .seconds(240))
        #expect(end.status == 0, "\(end.output)\(end.errors)")
    }
}
