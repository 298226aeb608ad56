// SIGHUP: reads the configuration anew and lets it hold, if it is correct.

import AggregatorCore
import Logging
import Platform
import ServiceLifecycle
import UnixSignals

/// Replaces services, checks, mail, routes and retention while everything goes on. A faulty file changes nothing.
struct Reloading: Service {
    let file: ConfigurationFile
    let current: CurrentConfiguration
    let checking: Checking
    let manager: ServiceManager
    private let logger = Logger(label: "configuration")

    init(file: ConfigurationFile, current: CurrentConfiguration, checking: Checking, manager: ServiceManager) {
        self.file = file
        self.current = current
        self.checking = checking
        self.manager = manager
    }

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
        await cancelWhenGracefulShutdown {
            for await _ in signals {
                manager.reloading()
                await reload()
                manager.ready(status: "Serving \(current.value.configuration.publicURL)")
            }
        }
    }

    private func reload() async {
        let loaded: ConfigurationFile.Loaded
        do throws(ConfigurationFile.Problem) {
            loaded = try file.load(transfers: current.value.transfers)
        } catch {
            for fault in error.faults { logger.error("configuration fault", metadata: ["fault": "\(fault)", "help": "\(fault.help ?? "")"]) }
            logger.error("the configuration is faulty: the one before still holds", metadata: ["faults": "\(error.faults.count)"])
            return
        }
        do throws(StoreError) {
            try await checking.apply(ServicePlan(loaded.configuration))
        } catch {
            logger.error("the new configuration could not be stored", metadata: ["problem": "\(error)"])
            return
        }
        let old = current.value.configuration
        current.value = loaded
        let new = loaded.configuration
        if (old.listen, old.database, old.publicURL, old.logLevel) != (new.listen, new.database, new.publicURL, new.logLevel)
            || (old.certificateFile?.value, old.keyFile?.value) != (new.certificateFile?.value, new.keyFile?.value)
        {
            logger.notice("changes of listen, database, public_url, log_level and certificates hold after a restart")
        }
        logger.notice("configuration read anew", metadata: ["services": "\(new.services.count)"])
    }
}
