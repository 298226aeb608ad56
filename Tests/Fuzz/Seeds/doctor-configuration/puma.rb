# shop
directory "/srv/app/current"
workers ENV.fetch("N", 2)
preload_app! if ENV["A"]
on_worker_boot do
  fork_worker 3
end
x = <<~A
end
A
__END__
