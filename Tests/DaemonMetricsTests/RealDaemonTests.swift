import DaemonMetrics
import Foundation
import Platform
import Synchronization
import TestKit
import Testing
import Transfer

/// Against the real daemons of `Tests/Beds/daemons`.
@Suite struct RealDaemonTests {
    @Test(arguments: ["redis", "redis-socket"])
    func redisTellsItsNumbers(place: String) async throws {
        let bed = try await DaemonBed.shared
        let parameters = place == "redis" ? ["port": bed[place]] : ["socket": bed[place]]
        let told = try await ask("redis", parameters, ["connected_clients", "used_memory", "mem_fragmentation_ratio", "no_such_number"]).get()
        #expect(told["connected_clients"] ?? 0 >= 1)
        #expect(told["used_memory"] ?? 0 > 100_000)
        #expect(told["mem_fragmentation_ratio"] != nil)
        #expect(told.count == 3, "what it does not tell is absent: \(told)")
    }

    @Test func redisTellsNothingOfASaveThatNeverWas() async throws {
        let bed = try await DaemonBed.shared
        #expect(try await ask("redis", ["port": bed["redis"]], ["rdb_last_bgsave_time_sec", "expired_keys"]).get() == ["expired_keys": 0])
    }

    @Test func redisWantsItsPassword() async throws {
        let bed = try await DaemonBed.shared
        let port = bed["redis-locked"]
        for parameters in [
            ["password": DaemonBed.password], ["password_file": bed.passwordFile], ["username": "watcher", "password": DaemonBed.password],
        ] {
            let told = try await ask("redis", parameters.merging(["port": port]) { $1 }, ["connected_clients"]).get()
            #expect(told["connected_clients"] != nil)
        }
        let none = try await problem("redis", ["port": port], ["connected_clients"])
        #expect(none == "redis at localhost:\(port): it refuses INFO: \"NOAUTH Authentication required.\": it wants a password: password_file")
        let wrong = try await problem("redis", ["port": port, "password": "correct horse"], ["connected_clients"])
        #expect(wrong.hasSuffix("user is disabled\"...: username or password is wrong"), "\(wrong)")
        let forbidden = try await problem(
            "redis", ["port": port, "username": "nobody-in-particular", "password": DaemonBed.password], ["connected_clients"])
        #expect(forbidden.hasSuffix(": let the user run INFO (ACL: +info)"), "\(forbidden)")
    }

    @Test(arguments: ["memcached", "memcached-socket"])
    func memcachedTellsItsNumbers(place: String) async throws {
        let bed = try await DaemonBed.shared
        let parameters = place == "memcached" ? ["port": bed[place]] : ["socket": bed[place]]
        let told = try await ask("memcached", parameters, ["curr_connections", "threads", "get_hits", "version"]).get()
        #expect(told["curr_connections"] ?? 0 >= 1)
        #expect(told["threads"] ?? 0 >= 1)
        #expect(told["get_hits"] == 0)
        #expect(told["version"] == nil)
    }

    @Test(arguments: ["mysql", "mariadb"])
    func mariadbTellsItsNumbers(word: String) async throws {
        let bed = try await DaemonBed.shared
        for parameters in [["port": bed["mariadb"]], ["hostname": "127.0.0.1", "port": bed["mariadb"]], ["socket": bed["mariadb-socket"]]] {
            let account = ["username": "watcher", "password": DaemonBed.password].merging(parameters) { $1 }
            let told = try await ask(word, account, ["Threads_connected", "Queries", "Slave_running", "Seconds_Behind_Master"]).get()
            #expect(told["Threads_connected"] ?? 0 >= 1)
            #expect(told["Queries"] ?? 0 >= 1)
            #expect(told["Slave_running"] == 0)
            #expect(told.count == 3, "it replicates nothing: \(told)")
        }
    }

    @Test func aReplicaOfMariadbTellsHowFarItIsBehind() async throws {
        let bed = try await DaemonBed.shared
        let account = ["socket": bed["mariadb-replica"], "username": "root"]
        try await eventually("the replica follows") {
            try await ask("mariadb", account, ["Seconds_Behind_Master"]).get() == ["Seconds_Behind_Master": 0]
        }
        #expect(try await ask("mariadb", account, ["Slave_running"]).get() == ["Slave_running": 1])
    }

    @Test func aStandbyOfPostgresqlTellsHowFarItIsBehind() async throws {
        let bed = try await DaemonBed.shared
        let account = ["port": bed["postgresql-standby"], "username": "watcher", "password": DaemonBed.password, "database": "postgres"]
        try await eventually("the standby follows") {
            try await ask("postgresql", account, ["replication_lag_sec"]).get() == ["replication_lag_sec": 0]
        }
    }

    @Test func mariadbSpeaksTLSWithItsAuthority() async throws {
        let bed = try await DaemonBed.shared
        let account = ["username": "wary", "password": DaemonBed.password, "port": bed["mariadb"]]
        let told = try await ask("mysql", account.merging(["ca_file": bed.authority]) { $1 }, ["Threads_connected"]).get()
        #expect(told["Threads_connected"] != nil)
        #expect(try await problem("mysql", account, ["Threads_connected"]).contains("Access denied"))
        let wrongName = account.merging(["ca_file": bed.authority, "hostname": "127.0.0.1"]) { $1 }
        #expect(try await problem("mysql", wrongName, ["Threads_connected"]).contains("certificate"))
    }

    @Test func mariadbRefusesWithReasons() async throws {
        let bed = try await DaemonBed.shared
        let account = ["username": "watcher", "password": DaemonBed.password, "port": bed["mariadb"]]
        let wrong = try await problem("mysql", account.merging(["password": "not-this-one"]) { $1 }, ["Queries"])
        #expect(wrong.hasPrefix("mysql at localhost:\(bed["mariadb"]): no connection: Access denied for user 'watcher'"), "\(wrong)")
        #expect(wrong.contains("username or password is wrong"))
        let slip = try await problem("mysql", account, ["Queries", "Thread_connected"])
        #expect(slip.hasSuffix("SHOW GLOBAL STATUS does not know \"Thread_connected\": did you mean Threads_connected?"), "\(slip)")
        let noNumber = try await problem("mysql", account, ["Ssl_cipher"])
        #expect(noNumber.contains("the status Ssl_cipher is no number"), "\(noNumber)")
        let guest = try await problem("mysql", account.merging(["username": "guest"]) { $1 }, ["Seconds_Behind_Master"])
        #expect(guest.contains("REPLICA MONITOR"), "\(guest)")
    }

    @Test func nginxTellsItsNumbers() async throws {
        let bed = try await DaemonBed.shared
        let names = ["Active_connections", "accepts", "handled", "requests", "Reading", "Writing", "Waiting"]
        let sources = [
            ["port": bed["nginx"]], ["url": bed.url("/status")],
            ["url": "https://localhost:\(bed["nginx-tls"])/status", "ca_file": bed.authority],
            ["port": bed["nginx"], "endpoint": "/private/status", "username": "watcher", "password_file": bed.passwordFile],
        ]
        for source in sources {
            let told = try await ask("nginx", source, names).get()
            #expect(told.count == 7)
            #expect(told["requests"] ?? 0 >= 1)
        }
    }

    @Test func nginxFaultsAreExplained() async throws {
        let bed = try await DaemonBed.shared
        let port = bed["nginx"]
        func nginx(_ parameters: [String: String]) async throws -> String {
            try await problem("nginx", parameters, ["accepts"]).replacing("nginx at http://localhost:\(port)", with: "")
        }
        #expect(try await nginx(["port": port, "endpoint": "/none"]).hasPrefix("/none: answers 404: write `location = /status"))
        #expect(
            try await nginx(["port": port, "endpoint": "/moved"])
                == "/moved: answers 302, a redirect, which is not followed: write the address that it leads to")
        #expect(try await nginx(["port": port, "endpoint": "/text"]) == "/text: this is not the page of stub_status: \"good morning\"")
        #expect(try await nginx(["port": port, "endpoint": "/private/status"]) == "/private/status: answers 401: it wants a username and a password")
        let wrong = ["port": port, "endpoint": "/private/status", "username": "watcher", "password": "not-this-one"]
        #expect(try await nginx(wrong) == "/private/status: answers 401: username or password is wrong")
        let untrusted = try await problem("nginx", ["url": "https://localhost:\(bed["nginx-tls"])/status"], ["accepts"])
        #expect(untrusted.hasSuffix("name its authority with ca_file"), "\(untrusted)")
    }

    @Test func postgresqlTellsItsNumbers() async throws {
        let bed = try await DaemonBed.shared
        let account = ["username": "watcher", "password": DaemonBed.password, "database": "postgres"]
        let sources = [
            ["port": bed["postgresql"]], ["socket": bed["postgresql-socket"]], ["port": bed["postgresql"], "ca_file": bed.authority],
        ]
        for source in sources {
            let names = [
                "commits", "rollbacks", "deadlocks", "numbackends", "blk_hit_rate", "seq_scans", "total_size", "connections_used_percent",
                "longest_transaction_sec", "replication_lag_sec", "temp_bytes",
            ]
            let told = try await ask("postgresql", account.merging(source) { $1 }, names).get()
            #expect(told["numbackends"] ?? 0 >= 1)
            #expect(told["total_size"] ?? 0 > 1_000_000)
            #expect((0.5...100).contains(told["connections_used_percent"] ?? 0))
            #expect(told["deadlocks"] == 0)
            #expect(told["longest_transaction_sec"] != nil)
            #expect(told["replication_lag_sec"] == nil, "a primary is not behind anybody")
        }
    }

    @Test func postgresqlSaysNothingOfTransactionsThatItsUserMayNotSee() async throws {
        let bed = try await DaemonBed.shared
        let account = ["username": "guest", "password": DaemonBed.password, "database": "postgres", "port": bed["postgresql"]]
        let told = try await ask("postgresql", account, ["longest_transaction_sec", "deadlocks"]).get()
        #expect(told == ["deadlocks": 0])
    }

    @Test func postgresqlRefusesWithReasons() async throws {
        let bed = try await DaemonBed.shared
        let account = ["username": "watcher", "password": DaemonBed.password, "database": "postgres", "port": bed["postgresql"]]
        let wrong = try await problem("postgresql", account.merging(["password": "not-this-one"]) { $1 }, ["commits"])
        #expect(wrong.contains("password authentication failed") && wrong.hasSuffix("username or password is wrong"), "\(wrong)")
        let none = try await problem("postgresql", ["port": bed["postgresql"], "username": "watcher"], ["commits"])
        #expect(none.hasSuffix("it wants a password: password_file"), "\(none)")
        let database = try await problem("postgresql", account.merging(["database": "shop"]) { $1 }, ["commits"])
        #expect(database.contains("database \"shop\" does not exist"), "\(database)")
        let metric = try await problem("postgresql", account, ["comits"])
        #expect(metric.contains("there is no metric \"comits\": there are blk_hit_rate, commits"), "\(metric)")
        let wrongName = account.merging(["ca_file": bed.authority, "hostname": "127.0.0.1"]) { $1 }
        #expect(try await problem("postgresql", wrongName, ["commits"]).contains("certificate"))
    }

    @Test func phpFPMTellsItsNumbers() async throws {
        let bed = try await DaemonBed.shared
        let sources = [
            ["socket": bed["php-fpm-socket"]], ["port": bed["php-fpm"], "endpoint": "/pool/status"], ["url": bed.url("/fpm")],
        ]
        for source in sources {
            let names = ["active_processes", "idle_processes", "total_processes", "accepted_conn", "max_children_reached", "slow_requests"]
            let told = try await ask("php-fpm", source, names).get()
            #expect(told["total_processes"] == 2)
            #expect(told["active_processes"] == 1)
            #expect(told["slow_requests"] == 0)
            #expect(told.count == names.count)
        }
        let none = try await problem("php-fpm", ["port": bed["php-fpm"]], ["accepted_conn"])
        #expect(none.hasSuffix("answers \"404 Not Found\" to /status: write `pm.status_path = /status` into the pool's configuration"), "\(none)")
    }

    @Test func haproxyTellsItsNumbers() async throws {
        let bed = try await DaemonBed.shared
        let names = ["current_sessions", "sessions", "errors", "servers_up", "servers_down", "backends_up", "backends_down", "idle_percent"]
        let page = [
            "url": "http://127.0.0.1:\(bed["haproxy-page"])/stats", "username": "watcher", "password": "correcthorsebattery",
        ]
        for source in [["socket": bed["haproxy-socket"]], ["hostname": "localhost", "port": bed["haproxy"]], page] {
            try await eventually("the server that is down is found down") {
                try await ask("haproxy", source, ["servers_down"]).get() == ["servers_down": 1]
            }
            let told = try await ask("haproxy", source, names).get()
            #expect(told["servers_up"] == 1)
            #expect(told["backends_down"] == 0)
            #expect(told["errors"] != nil)
            #expect((told["idle_percent"] != nil) == (source["url"] == nil), "the page does not tell of the process")
        }
        let wrong = try await problem("haproxy", page.merging(["password": "not-this-one"]) { $1 }, names)
        #expect(wrong.hasSuffix("answers 401: username or password is wrong"), "\(wrong)")
    }

    @Test func nodeExporterSpeaksPrometheus() async throws {
        let bed = try await DaemonBed.shared
        let one = #"node_cpu_seconds_total{cpu="0",mode="idle"}"#
        let told = try await ask(
            "prometheus", ["port": bed["node-exporter"]], ["node_load1", "node_cpu_seconds_total", one, "no_such_series", "go_goroutines"]
        ).get()
        #expect(told["go_goroutines"] ?? 0 >= 1)
        #expect(told["node_cpu_seconds_total"] ?? 0 > told[one] ?? .infinity)
        #expect(told.count == 4)
        let selector = try await problem("prometheus", ["port": bed["node-exporter"]], ["node_load1{"])
        #expect(selector.hasSuffix("\"node_load1{\" selects nothing: write it as name, or name{label=\"value\"}"))
    }

    @Test func jsonPagesTellNumbers() async throws {
        let bed = try await DaemonBed.shared
        let paths = ["queues[0].length", "queues[1].length", "queues[2].length", "healthy", "name", #"["a.b"]["c d"]"#]
        let told = try await ask("json", ["url": bed.url("/pages/queues.json")], paths).get()
        #expect(told == ["queues[0].length": 7, "queues[1].length": 1500, "healthy": 1, #"["a.b"]["c d"]"#: -2])
        let vars = try await ask("memstats", ["port": bed["nginx"], "path": "/pages/vars"], ["Alloc", "TotalAlloc", "PauseNs", "NumGC"]).get()
        #expect(vars == ["Alloc": 1_048_576, "TotalAlloc": 9_007_199_254_740_992, "NumGC": 12])
        let broken = try await problem("json", ["url": bed.url("/pages/broken.json")], ["a"])
        #expect(broken.contains("the page is not JSON (the text ends too early at byte"), "\(broken)")
        let large = try await problem("json", ["url": bed.url("/pages/large.json")], ["a"])
        #expect(large.hasSuffix("the page is longer than 4194304 bytes"), "\(large)")
        let path = try await problem("json", ["url": bed.url("/pages/queues.json")], ["queues[x]"])
        #expect(path.contains("\"queues[x]\" is no path"), "\(path)")
    }

    @Test func answersComeOnTheLoopOfTheTransfers() async throws {
        let bed = try await DaemonBed.shared
        let loop = try transfers.get().loop
        let home: UInt = await withCheckedContinuation { continuation in loop.post { continuation.resume(returning: UInt(pthread_self())) } }
        let sources = [
            ("redis", ["port": bed["redis"]]), ("nginx", ["port": bed["nginx"]]), ("redis", ["port": "1"]),
            ("mysql", ["port": bed["mariadb"], "username": "watcher", "password": DaemonBed.password]), ("redis", ["hostname": "nowhere.invalid"]),
        ]
        for (word, parameters) in sources {
            let reader = try reader(word, parameters)
            let place: UInt = await withCheckedContinuation { continuation in
                reader.read(["x"], deadline: .seconds(10)) { _ in continuation.resume(returning: UInt(pthread_self())) }
            }
            #expect(place == home)
        }
    }
}
