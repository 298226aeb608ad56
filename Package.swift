// swift-tools-version: 6.2
import PackageDescription

// The rooms of the design: arrows point down only, targets in one row never import each other, and a C library is
// imported by exactly one target. `swift build --explicit-target-dependency-import-check error` keeps it so.

let package = Package(
    name: "rollcall",
    dependencies: [
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2")
    ],
    targets: [
        // 2: the languages spoken between rooms
        .target(name: "AgentAPI", dependencies: ["Platform"]),

        // 1: time, loop, files, secrets; transfers
        .target(name: "Platform", dependencies: ["CLinux", .logging]),

        // 0: C libraries
        .systemLibrary(name: "CLinux", path: "Sources/CLibraries/CLinux"),

        // Tests
        .target(name: "TestKit", dependencies: ["Platform"], path: "Tests/TestKit"),
        .testTarget(name: "AgentAPITests", dependencies: ["AgentAPI", "Platform", "TestKit"], exclude: ["Golden"]),
        .testTarget(name: "PlatformTests", dependencies: ["Platform", "TestKit"]),
    ],
    swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .system {
    target.swiftSettings = [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ]
}

extension Target.Dependency {
    static var logging: Self { .product(name: "Logging", package: "swift-log") }
}
