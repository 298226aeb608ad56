working_directory "/srv/app/current"
preload_app true
before_fork do |s, w|
  Process.kill(:QUIT, 1) if s
end
