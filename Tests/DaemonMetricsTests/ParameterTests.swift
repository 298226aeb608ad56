import AgentCore
import DaemonMetrics
import TestKit
import Testing

@Suite struct ParameterTests {
    @Test func everyFaultIsTold() throws {
        #expect(
            try faults("redis", ["port": "0", "hostname": "a/b", "password": "x", "password_file": "/nope", "colour": "red"]) == [
                "hostname must be a host name or an IP address, without port and brackets", "port must be a whole number from 1 to 65535",
                "password_file cannot be beside password: write one of them",
                "password_file cannot be used: /nope cannot be read: No such file or directory", "colour is not a setting here",
            ])
    }

    @Test(arguments: [
        ("redis", ["socket": "/s", "port": "1"], ["port cannot be beside socket, which says where to ask"]),
        ("redis", ["socket": "relative"], ["socket must be a path that begins with / and has at most 107 bytes"]),
        ("redis", ["username": "x"], ["password_file is missing: username needs a password"]),
        ("redis", ["hostname": ""], ["hostname must be from 1 to 4096 bytes long, without a zero byte"]),
        ("json", [:], ["url is missing"]),
        ("json", ["url": "ftp://x"], ["url must begin with http:// or https://"]),
        ("json", ["url": "http://u:p@x/"], ["url must hold no user and password: write username and password_file"]),
        (
            "json", ["url": "http://example.com/", "username": "u", "password": "p"],
            ["url must be https: the password would travel in the clear"]
        ),
        ("nginx", ["url": "http://localhost/", "port": "80"], ["port cannot be beside url, which says where to ask"]),
        ("nginx", ["endpoint": "status"], ["endpoint must begin with / and hold no blanks"]),
        ("nginx", ["endpoint": "/a", "path": "/b"], ["path is another word for endpoint: write one of them"]),
        ("nginx", ["password": "p"], ["username is missing: the password needs one"]),
        ("haproxy", ["hostname": "localhost"], ["port is missing: hostname needs one"]),
        (
            "postgresql", ["hostname": "db.example.com", "password": "p"],
            ["ca_file is missing: without it the password could be had by whoever answers in the server's place"]
        ),
        ("mysql", ["socket": "/s", "ca_file": "/dev/null"], ["ca_file is not for sockets, which never leave this machine"]),
    ])
    func faultsAreExplained(word: String, parameters: [String: String], expected: [String]) throws {
        #expect(try faults(word, parameters) == expected)
    }

    /// The configuration is checked by the catalogue, the runner reads it with the kinds: both must know the same.
    @Test func theCatalogueNamesWhatTheKindsTake() throws {
        let kinds = daemonKinds(transfers: try transfers.get())
        #expect(Set(kinds.map(\.word)) == Set(daemonFamilies.map(\.family)))
        let all = Set(daemonFamilies.flatMap(\.parameters))
        for family in daemonFamilies {
            for parameter in all.union(["colour"]) {
                // haproxy takes one of two sets, and what belongs to a page goes with url.
                let isKnown = try [["url": "http://localhost/"], [:]].contains { beside in
                    let given = beside.merging([parameter: "x"]) { $1 }
                    return try !faults(family.family, given).contains("\(parameter) is not a setting here")
                }
                #expect(isKnown == family.parameters.contains(parameter), "\(family.family) \(parameter)")
            }
        }
    }

    @Test(arguments: daemonFamilies.map(\.family))
    func theCatalogueIsConsistent(name: String) throws {
        let family = try #require(daemonFamilies.first { $0.family == name })
        #expect(Set(family.names).count == family.names.count)
        if !family.names.isEmpty {
            #expect(family.counters.subtracting(family.names).isEmpty)
            #expect(Set(family.units.keys).subtracting(family.names).isEmpty)
        }
    }
}
