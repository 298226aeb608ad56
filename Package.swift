// swift-tools-version: 6.2
import PackageDescription

// The rooms of the design: arrows point down only, targets in one row never import each other, and a C library is
// imported by exactly one target. `swift build --explicit-target-dependency-import-check error` keeps it so.

let package = Package(
    name: "rollcall",
    products: [
        .executable(name: "rollcall", targets: ["ControlTool"]),
        .executable(name: "rollcall-agent", targets: ["AgentDaemon"]),
        .executable(name: "rollcall-aggregator", targets: ["AggregatorDaemon"]),
        .executable(name: "rollcall-runner", targets: ["RunnerDaemon"]),
        .executable(name: "verify-token", targets: ["VerifyTokenTool"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // 5: the programs
        .executableTarget(
            name: "AgentDaemon",
            dependencies: ["AgentAPI", "AgentCore", "AgentTalker", "DeployVerification", "LinuxHost", "Platform", "RuleLanguage", .logging]),
        .executableTarget(
            name: "AggregatorDaemon",
            dependencies: [
                "AggregatorCore", "CheckKinds", "Checks", "Dashboard", "Messages", "Notifiers", "Platform", "SQLiteStore", "Transfer",
                .argumentParser, .crypto, .logging, .serviceLifecycle, .unixSignals,
            ]),
        .executableTarget(
            name: "ControlTool",
            dependencies: ["AgentAPI", "AgentCore", "Platform", "RuleLanguage", .argumentParser]),
        .executableTarget(
            name: "RunnerDaemon",
            dependencies: ["AgentAPI", "Checks", "DaemonMetrics", "Messages", "Notifiers", "Platform", "Transfer", .logging]),
        .executableTarget(
            name: "VerifyTokenTool",
            dependencies: ["AgentAPI", "DeployVerification", "Platform", "Transfer", .argumentParser]),

        // 4: the outside world, one room per technology
        .target(
            name: "AgentTalker",
            dependencies: [
                "AgentAPI", "AgentCore", "Compression", "DeployVerification", "Platform", "RuleLanguage", .logging, .nio, .nioHTTP1, .nioPosix,
                .nioSSL,
            ]),
        .target(name: "CheckKinds", dependencies: ["CPCRE2", "Checks", "Platform", "Transfer"]),
        .target(name: "DaemonMetrics", dependencies: ["CMariaDB", "CPostgreSQL", "Checks", "Platform", "RuleLanguage", "Transfer"]),
        .target(
            name: "Dashboard",
            dependencies: [
                "AgentAPI", "AggregatorCore", "Checks", "Compression", "Platform", .crypto, .cryptoExtras, .hummingbird, .hummingbirdTLS,
                .logging, .nio, .nioSSL, .serviceLifecycle,
            ]),
        .target(
            name: "LinuxHost",
            dependencies: [
                "AgentAPI", "AgentCore", "CLinux", "CSystemd", "Compression", "DeployVerification", "Platform", "RuleLanguage", "TransportSecurity",
                .logging,
            ]),
        .target(name: "Notifiers", dependencies: ["CCrypto", "Checks", "Messages", "Platform", "Transfer"]),
        .target(name: "SQLiteStore", dependencies: ["AgentAPI", "AggregatorCore", "Checks", "Messages", "Platform", .grdb]),

        // 3: decisions and seams, no I/O
        .target(name: "AgentCore", dependencies: ["AgentAPI", "Messages", "Platform", "RuleLanguage", .logging]),
        .target(
            name: "AggregatorCore", dependencies: ["AgentAPI", "Checks", "Messages", "Platform", .logging, .serviceLifecycle, .yams]),
        .target(name: "DeployVerification", dependencies: ["AgentAPI", "Platform"]),

        // 2: the languages spoken between rooms
        .target(name: "AgentAPI", dependencies: ["Platform"]),
        .target(name: "Checks", dependencies: ["Platform"]),
        .target(name: "Messages", dependencies: ["Platform"]),
        .target(name: "RuleLanguage", dependencies: ["Platform"]),

        // 1: time, loop, files, secrets; transfers; gzip; TLS without a socket
        .target(name: "Compression", dependencies: ["CZlib"]),
        .target(name: "Platform", dependencies: ["CLinux", .logging]),
        .target(name: "Transfer", dependencies: ["CCurl", "Platform"]),
        .target(name: "TransportSecurity", dependencies: [.nio, .nioEmbedded, .nioSSL]),

        // 0: C libraries
        .systemLibrary(name: "CCrypto", path: "Sources/CLibraries/CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CCurl", path: "Sources/CLibraries/CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CLinux", path: "Sources/CLibraries/CLinux"),
        .systemLibrary(
            name: "CMariaDB", path: "Sources/CLibraries/CMariaDB", pkgConfig: "libmariadb", providers: [.apt(["libmariadb-dev"])]),
        .systemLibrary(name: "CPCRE2", path: "Sources/CLibraries/CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .systemLibrary(name: "CPostgreSQL", path: "Sources/CLibraries/CPostgreSQL", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CSystemd", path: "Sources/CLibraries/CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .systemLibrary(name: "CZlib", path: "Sources/CLibraries/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // Measured by `make bench` and `make bench-deploys`; nobody installs them
        .executableTarget(
            name: "DeployBenchmark", dependencies: ["AgentAPI", "DeployVerification", "LinuxHost", "Platform"], path: "Benchmarks/DeployBenchmark"),
        .executableTarget(
            name: "SamplerBenchmark", dependencies: ["AgentCore", "LinuxHost", "Platform", "RuleLanguage", .logging],
            path: "Benchmarks/SamplerBenchmark"),

        // Tests
        .target(name: "TestKit", dependencies: ["Platform"], path: "Tests/TestKit"),
        .testTarget(name: "AgentAPITests", dependencies: ["AgentAPI", "Platform", "TestKit"], exclude: ["Golden"]),
        .testTarget(
            name: "AgentCoreTests", dependencies: ["AgentAPI", "AgentCore", "Platform", "RuleLanguage", "TestKit"], exclude: ["Alerts/Golden"]),
        .testTarget(
            name: "AgentDaemonTests",
            dependencies: ["AgentAPI", "AgentCore", "AgentDaemon", "AgentTalker", "Platform", "RuleLanguage", "TestKit", .logging],
            exclude: ["Golden"]),
        .testTarget(
            name: "AgentTalkerTests",
            dependencies: [
                "AgentAPI", "AgentCore", "AgentTalker", "Compression", "DeployVerification", "Platform", "TestKit", .logging, .nio, .nioHTTP1,
                .nioPosix, .nioSSL,
            ], exclude: ["Golden"]),
        .testTarget(name: "AggregatorCoreTests", dependencies: ["AgentAPI", "AggregatorCore", "Checks", "Platform", "TestKit"], exclude: ["Golden"]),
        .testTarget(name: "CheckKindsTests", dependencies: ["CheckKinds", "Checks", "Platform", "TestKit", "Transfer"]),
        .testTarget(name: "CompressionTests", dependencies: ["Compression", "TestKit"]),
        .testTarget(name: "ControlToolTests", dependencies: ["AgentAPI", "ControlTool", "Platform", "TestKit"], exclude: ["Golden"]),
        .testTarget(name: "DaemonMetricsTests", dependencies: ["AgentCore", "Checks", "DaemonMetrics", "Platform", "TestKit", "Transfer"]),
        .testTarget(
            name: "DashboardTests",
            dependencies: [
                "AgentAPI", "AggregatorCore", "Checks", "Compression", "Dashboard", "Platform", "TestKit", .hummingbird, .logging, .serviceLifecycle,
            ],
            exclude: ["Golden"]),
        .testTarget(name: "DeployVerificationTests", dependencies: ["AgentAPI", "DeployVerification", "Platform", "TestKit"]),
        .testTarget(
            name: "LinuxHostTests",
            dependencies: [
                "AgentAPI", "AgentCore", "Compression", "DeployVerification", "LinuxHost", "Platform", "RuleLanguage", "TestKit", .logging,
            ]),
        .testTarget(
            name: "NotifiersTests", dependencies: ["Checks", "Messages", "Notifiers", "Platform", "TestKit", "Transfer"], exclude: ["Golden"]),
        .testTarget(name: "PlatformTests", dependencies: ["Platform", "TestKit"]),
        .testTarget(name: "RuleLanguageTests", dependencies: ["Platform", "RuleLanguage", "TestKit"], exclude: ["Golden"]),
        .testTarget(
            name: "RunnerDaemonTests",
            dependencies: [
                "AgentAPI", "AgentCore", "Checks", "DaemonMetrics", "LinuxHost", "Platform", "RunnerDaemon", "TestKit", .logging,
            ]),
        .testTarget(
            name: "SQLiteStoreTests", dependencies: ["AgentAPI", "AggregatorCore", "Checks", "Messages", "Platform", "SQLiteStore", "TestKit", .grdb]),
        .testTarget(
            name: "ScenarioTests", dependencies: ["AgentAPI", "AggregatorCore", "Platform", "SQLiteStore", "TestKit"], exclude: ["Golden", "Units"]),
        .testTarget(
            name: "VerifyTokenToolTests",
            dependencies: ["AgentAPI", "DeployVerification", "Platform", "TestKit", "Transfer", "VerifyTokenTool"]),
    ],
    swiftLanguageModes: [.v6]
)

// The fuzz program needs libFuzzer's runtime, which only `make fuzz` links.
if Context.environment["ROLLCALL_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "AgentAPI", "AgentCore", "AgentTalker", "AggregatorCore", "CheckKinds", "Checks", "Compression", "DaemonMetrics", "Dashboard",
                "DeployVerification", "LinuxHost", "Platform", "RuleLanguage", "Transfer",
            ],
            path: "Tests/Fuzz", exclude: ["Seeds"]))
}

// CLinux shares declarations with Glibc (struct timespec, ...), and whose they are depends on which of the two the compiler loads first: in the
// targets that import both, the check whether a member's module is imported would pass or fail by chance.
let importersOfCLinux: Set = ["LinuxHost", "Platform"]
for target in package.targets where target.type != .system {
    target.swiftSettings = [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ]
    if !importersOfCLinux.contains(target.name) { target.swiftSettings?.append(.enableUpcomingFeature("MemberImportVisibility")) }
}

extension Target.Dependency {
    static var argumentParser: Self { .product(name: "ArgumentParser", package: "swift-argument-parser") }
    static var crypto: Self { .product(name: "Crypto", package: "swift-crypto") }
    static var cryptoExtras: Self { .product(name: "CryptoExtras", package: "swift-crypto") }
    static var grdb: Self { .product(name: "GRDB", package: "GRDB.swift") }
    static var hummingbird: Self { .product(name: "Hummingbird", package: "hummingbird") }
    static var hummingbirdTLS: Self { .product(name: "HummingbirdTLS", package: "hummingbird") }
    static var logging: Self { .product(name: "Logging", package: "swift-log") }
    static var nio: Self { .product(name: "NIOCore", package: "swift-nio") }
    static var nioEmbedded: Self { .product(name: "NIOEmbedded", package: "swift-nio") }
    static var nioHTTP1: Self { .product(name: "NIOHTTP1", package: "swift-nio") }
    static var nioPosix: Self { .product(name: "NIOPosix", package: "swift-nio") }
    static var nioSSL: Self { .product(name: "NIOSSL", package: "swift-nio-ssl") }
    static var serviceLifecycle: Self { .product(name: "ServiceLifecycle", package: "swift-service-lifecycle") }
    static var unixSignals: Self { .product(name: "UnixSignals", package: "swift-service-lifecycle") }
    static var yams: Self { .product(name: "Yams", package: "Yams") }
}
