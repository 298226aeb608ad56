import Platform
import Testing

@testable import DaemonMetrics

@Suite struct ParserTests {
    @Test(arguments: [
        ("0", 0.0), ("12", 12), ("-3", -3), ("1.5", 1.5), ("1e3", 1000), ("123456789012345678", 123_456_789_012_345_680), ("+1", 1),
        (nil as String?, nil as Double?), ("", nil), ("abc", nil), ("1e999", nil), ("0x10", nil), ("nan", nil), ("1 2", nil), ("--1", nil),
        ("e", nil),
    ])
    func numbersAreDecimal(text: String?, value: Double?) {
        #expect(number(Array((text ?? "x").utf8)[...]) == value)
    }

    @Test func replicasOfRedisSayWhetherTheirMasterIsThere() {
        let replication = "# Replication\r\nmaster_link_status:down\r\nmaster_last_io_seconds_ago:-1\r\n"
        let told = redisInfo(Array((replication + "db0:keys=2,expires=1,avg_ttl=0\r\ndb12:keys=3,expires=0\r\n").utf8)[...])
        #expect(told == ["master_link_up": 0, "keys": 5, "keys_with_expiry": 1])
    }

    @Test func anAnswerOfRedisIsReadWhenItIsWhole() {
        let whole = Array("+OK\r\n$9\r\na:1\r\nb:2\n\r\n".utf8)
        for count in 0..<whole.count { #expect(redisAnswer(Array(whole[..<count]), hasAuthenticated: true) == nil) }
        #expect(redisAnswer(whole, hasAuthenticated: true) == .success(["a": 1, "b": 2]))
    }

    @Test func anAnswerOfMemcachedIsReadWhenItIsWhole() {
        let whole = Array("STAT pid 1\r\nSTAT version 1.6\r\nSTAT curr_items 7\r\nEND\r\n".utf8)
        for count in 0..<(whole.count - 2) { #expect(memcachedAnswer(Array(whole[..<count])) == nil) }
        #expect(memcachedAnswer(whole) == .success(["pid": 1, "version": 1.6, "curr_items": 7]))
    }

    @Test func aFieldInQuotesMayHoldCommasAndQuotes() {
        let fields = commaSeparated(Array(#"a,"b,""c""",,d,"#.utf8)[...]).map { text($0) }
        #expect(fields == ["a", #"b,"c""#, "", "d", ""])
    }

    @Test func proxiesAreSummed() {
        let page = """
            # pxname,svname,qcur,scur,slim,status,ereq,econ,eresp,type,
            web,FRONTEND,,3,100,OPEN,1,,,0,
            api,FRONTEND,,4,10,OPEN,2,,,0,
            app,one,0,1,,UP 1/3,,9,9,2,
            app,two,0,1,,DOWN 1/2,,0,0,2,
            app,three,0,1,,MAINT,,0,0,2,
            app,BACKEND,5,1,,DOWN,,10,20,1,

            """
        #expect(
            haproxyAnswer(Array(page.utf8))
                == .success([
                    "current_sessions": 7, "sessions_percent": 40, "errors": 33, "queue": 5, "servers_up": 1, "servers_down": 1, "backends_up": 0,
                    "backends_down": 1,
                ]))
    }

    @Test(arguments: [
        ("up 1\n", "up", 1.0), ("up{a=\"1\"} 1\nup{a=\"2\"} 2\n", "up", 3), ("up{a=\"1\"} 1\nup{a=\"2\"} 2\n", "up{a=\"2\"}", 2),
        ("up{a=\"1\",b=\"2\"} 5 1700000000\n", "up{b=\"2\"}", 5), ("up{a=\"x\\\"y\\\\z\\n\"} 4\n", "up{a=\"x\\\"y\\\\z\\n\"}", 4),
        ("# HELP up \"\n# TYPE up gauge\n\n up { } 1", "up", nil), ("up 1e3 # {trace=\"x\"} 1\n", "up", 1000), ("up NaN\n", "up", nil),
        ("up +Inf\nup 2\n", "up", 2), ("up_more 1\n", "up", nil), ("a:b{} 1\n", "a:b", 1), ("up{a=\"1\",} 6\r\n", "up", 6),
    ])
    func seriesAreSelectedAndSummed(page: String, metric: String, value: Double?) {
        switch prometheusAnswer(Array(page.utf8), [metric]) {
        case .success(let told): #expect(told[metric] == value)
        case .failure: #expect(value == nil)
        }
    }

    @Test(arguments: ["<html>", "up", "up{a=1} 1", "up{a=\"1\"", "up{a=\"1\" b=\"2\"} 1", "1up 1", "up one", "up{a=\"1\"}1", "{\"up\"} 1"])
    func whatIsNotThatFormatIsShown(line: String) {
        #expect(prometheusAnswer(Array(line.utf8), ["up"]) == .failure(DaemonError("this is not Prometheus's text format: \(seen(line))")))
    }

    @Test(arguments: ["", ".", "a.", ".a", "a..b", "a[", "a[]", "a[-1]", "a[x]", "a]b", "[\"a", "[\"a\"", "a[0]b"])
    func whatIsNoPathIsRefused(text: String) { #expect(JSONPath(text) == nil) }

    @Test func aReplicaIsAsFarBehindAsItsSlowestSource() {
        #expect(secondsBehind([]) == nil)
        #expect(secondsBehind([["Seconds_Behind_Master": "3"], ["Seconds_Behind_Source": "7"]]) == 7)
        #expect(secondsBehind([["Seconds_Behind_Master": "3"], ["Last_Error": "duplicate"]]) == nil)
    }
}
