# Rack, Sinatra, Rails: lib/deploy_token.rb
#
#   Rack, in config.ru:         require_relative "lib/deploy_token"; use DeployToken
#   Rails, in application.rb:   require_relative "../lib/deploy_token"; config.middleware.insert_before 0, DeployToken
class DeployToken
  # Read once, when the code is loaded, and from beside that code: it says which release was loaded, whatever the link says now.
  TOKEN = begin
    File.read(File.expand_path("../TOKEN", __dir__), 4096).strip.freeze
  rescue SystemCallError
    "none"
  end

  def initialize(app)
    @app = app
  end

  def call(env)
    return @app.call(env) unless env["PATH_INFO"] == "/about/deploy"
    [200, { "content-type" => "text/plain", "cache-control" => "no-store" }, [TOKEN]]
  end
end
