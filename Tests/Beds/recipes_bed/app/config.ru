# The application for Puma and Unicorn.
require_relative "lib/deploy_token"

version = File.read(File.expand_path("VERSION", __dir__)).strip
raise "this release does not boot" if version.start_with?("broken")

use DeployToken
run ->(_) { [200, { "content-type" => "text/plain" }, [version]] }
