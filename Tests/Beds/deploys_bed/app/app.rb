# The application for Puma and Unicorn. It reads TOKEN once, when it is loaded, and knows its release by heart.

release = "@RELEASE@"
folder = ENV["BED"] || File.expand_path("../..", __dir__)
traits = File.read("#{__dir__}/TRAITS").split.to_h { |trait| [*trait.split("=", 2), nil].first(2) }

sleep(traits["slow"].to_f) if traits.key?("slow")
raise "this release does not boot" if traits.key?("raises")
if traits.key?("one-boots")
  begin
    File.open("#{__dir__}/BOOTED", File::CREAT | File::EXCL) {}
  rescue Errno::EEXIST
    raise "only the first process boots"
  end
end
Thread.new { sleep(traits["dies"].to_f); exit!(1) } if traits.key?("dies")

read = ->(path) { File.exist?(path) ? File.read(path).strip : "none" }
token = read.("#{__dir__}/TOKEN")
password = File.read("#{folder}/password").strip
File.write("#{folder}/boots", "#{Process.clock_gettime(Process::CLOCK_MONOTONIC)} #{Process.pid} #{release} #{token}\n", mode: "a")

about = Rack::Auth::Basic.new(
  lambda do |_|
    [200, { "Content-Type" => "text/plain" }, [traits.key?("dynamic") ? read.("#{folder}/current/TOKEN") : token]]
  end, "deploy"
) { |user, given| user == "about" && Rack::Utils.secure_compare(given, password) }

# What Rails' production settings do: config.hosts and force_ssl.
refusal = lambda do |environment|
  next if environment["PATH_INFO"] == "/"
  if traits.key?("host") && environment["HTTP_HOST"].sub(/:\d+\z/, "") != traits["host"]
    next [403, { "Content-Type" => "text/plain" }, ["Blocked host"]]
  end
  request = Rack::Request.new(environment)
  [301, { "Location" => "https://#{request.host}#{request.path}" }, []] if traits.key?("https") && !request.ssl?
end

App = lambda do |environment|
  refused = refusal.call(environment)
  next refused if refused

  case environment["PATH_INFO"]
  when ->(path) { path == "/about/deploy" && !traits.key?("no-endpoint") } then about.call(environment)
  when "/whoami" then [200, { "Content-Type" => "text/plain" }, ["#{Process.pid} #{release} #{token}"]]
  when "/slow"
    sleep(Rack::Utils.parse_query(environment["QUERY_STRING"])["s"].to_f)
    [200, { "Content-Type" => "text/plain" }, ["at last"]]
  else [200, { "Content-Type" => "text/plain" }, ["ok"]]
  end
end
