import Platform
import RuleLanguage
import TestKit
import Testing

@Suite struct ManyFaultsTests {
    @Test func everyFaultOfAFileIsShownAtOnce() throws {
        let text = """
            # Somebody's first rule file.
            check sevrice puma[1] with pidfile /run/puma.pid owner ops, owner "the team"
            expose memstats

            if memory:total_rss => 500m for 2 cycles then alert, reload
            if memory:rss > 1.5gb for 0 cycles then restrat
            if cpu:user > 90 for 5 minutes then alert ops restart
            fi cpu:system > 9999999999999p then restart puma
            if memory:rss > 500 m then alert
            if memory:rss > 5 && cpu:user > 5 then exec "true --now | mail", unmonitor, alert
            if redis:used_memory > 1g then "alert"
            memory:rss > 3g then alert "ops
            if memory:rss > 4g alert;
            if memory:rss > 5g clear 4g during mon-fri 09:00-17:00 then alert else restrat
            if (each woker cpu:total > 90% or up = 0 for 2 times within 1 cycle as wraning then signal "QUIT TERM"

            check host
            if cpu then alert
            """
        let faults = RuleFile.parse(text, file: "services.d/puma.inq").faults
        try expectGolden(faults.map { $0.rendered(in: text) }.joined(), "many-faults.txt")
    }

    @Test func everyFaultOfTheSettingsIsShownAtOnce() throws {
        let text = """
            set cycle_time 15 seconds
            ste log_level debug
            set hostname
            set listen [::1]:4677
            set cycle_time 30
            send alert via email with to_email ops@example.com username me
            send alerts to ops email
            set deploy_token_file "TOKEN
            """
        let faults = SettingsFile.parse(text, file: "rollcall.conf").faults
        try expectGolden(faults.map { $0.rendered(in: text) }.joined(), "many-faults-settings.txt")
    }
}
