# Everything that people do with this folder: `make` lists it.
#
# Each verb first asks apt for the Debian packages that it needs and that are missing; when all are there it asks nobody.

# What to build with: the C libraries that Package.swift names, and how to find them.
BUILD_PACKAGES := libcurl4-openssl-dev libmariadb-dev libpcre2-dev libpq-dev libsqlite3-dev libssl-dev libsystemd-dev pkg-config zlib1g-dev
# What the tests start: real init systems, application servers, mail servers, browsers.
TEST_PACKAGES := $(BUILD_PACKAGES) ansible-core bundler capistrano chromium chromium-driver curl dbus duktape git golang-go graphite-carbon gunicorn \
    haproxy iproute2 jq mariadb-client-core mariadb-server-core memcached mina nginx nodejs openrc openssh-server openssl php-fpm polkitd postgresql procps \
    prometheus-node-exporter puma python3 python3-aiosmtpd python3-dbus python3-django python3-fabric python3-flask python3-fusepy python3-gi python3-selenium \
    python3-yaml redis-server ruby ruby-rack ruby-sidekiq runit s6 sudo supervisor systemd unicorn util-linux \
    uwsgi-core uwsgi-plugin-python3
# What `make bench` measures beside the agent, and what it needs for that.
BENCH_PACKAGES := binutils dbus gcc libc6-dev monit openssl polkitd prometheus-node-exporter prometheus-process-exporter python3 supervisor systemd util-linux valgrind
SWIFT_VERSION := 6.3

PROGRAMS := rollcall rollcall-agent rollcall-aggregator rollcall-runner verify-token
PREFIX := /usr/local
DESTDIR :=
# Whose files `make install` installs: systemd or upstart.
INIT := $(if $(wildcard /sbin/initctl),upstart,systemd)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
# swift uses all cores by itself.
.NOTPARALLEL:
.SUFFIXES:
.PHONY: help run test test-deploys fuzz build install install-files bench bench-deploys order bench-packages build-packages test-packages swift format-test init-test swift-test

help:
	@echo 'make run      build, then start an aggregator and an agent that watches this machine; Ctrl-C ends both'
	@echo 'make test     check the format, the imports, the init files, and run all tests'
	@echo 'make test-deploys  good and bad deploys of Puma, Unicorn, gunicorn, uWSGI, nginx and HAProxy, each judged by verify-token (10 minutes)'
	@echo 'make fuzz     let libFuzzer look for input that a parser cannot bear, $(FUZZ_SECONDS) s for each parser'
	@echo 'make build    build the programs as they are installed: optimised, with the Swift runtime inside'
	@echo 'make bench    build, then measure the agent beside what Debian packages for the same job (root, 40 minutes)'
	@echo 'make bench-deploys  build, then measure what judging a deploy costs and how late its verdict comes (root, 10 minutes)'
	@echo 'make order    build, then find out which functions the agent runs all the time, so that they are linked side by side (root)'
	@echo 'make install  build, then install programs, units and polkit rule (PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) INIT=$(INIT));'
	@echo '              make install-files BIN=FOLDER does so with programs that are built already'

# Run

run: build-packages swift
	swift build
	@exec init/run-here

# Test: cheap checks first

test: test-packages swift format-test init-test swift-test
	@echo 'make test: the format, the imports, the init files and all tests passed.'

format-test: swift
	swift format lint --strict -r Sources Tests Package.swift

init-test: test-packages
	Tests/Beds/init-files.py

# One after the other: the beds want the machine for themselves.
TESTS := swift test --skip-build --disable-xctest --no-parallel

# Tests that start a real systemd need root. What they leave in .build belongs to its owner again afterwards. Everything that they said is in
# .build/tests.log; what failed is said again at the end, with what failed inside a bed.
swift-test: test-packages swift
	swift build --build-tests --explicit-target-dependency-import-check error
	@echo '$(TESTS)'; \
	sudo=(); \
	if [ "$$(id -u)" != 0 ]; then $(needs-root); sudo=(sudo --preserve-env=CI env "PATH=$$PATH" "HOME=$$HOME"); fi; \
	status=0; \
	"$${sudo[@]}" $(TESTS) 2>&1 | tee .build/tests.log | sed -u '/^◇ /d' || status=$$?; \
	[ $${#sudo[@]} = 0 ] || sudo chown -R --from=root "$$(id -u):$$(id -g)" .build; \
	if [ $$status != 0 ]; then grep -a '✘' .build/tests.log || :; fi; \
	exit $$status

# All scenarios of Tests/DeployScenarios, of which `make test` runs some. Only root may see which process answered whom.
test-deploys: test-packages swift
	swift build --product rollcall-agent
	swift build --product verify-token
	@if [ "$$(id -u)" != 0 ]; then $(needs-root); sudo=sudo; fi; \
	$${sudo:-} Tests/DeployScenarios/run --programs "$$(swift build --show-bin-path)"

# Fuzz: what is found stays in .build-fuzz/found, and belongs among the seeds once it is mended.

FUZZ_SECONDS := 60
FUZZ := .build-fuzz/release/Fuzz

fuzz: build-packages swift
	ROLLCALL_FUZZ=1 swift build -c release --product Fuzz --sanitize fuzzer -Xswiftc -enable-testing --scratch-path .build-fuzz
	@$(FUZZ) 2>/dev/null | xargs -P "$$(nproc)" -n 1 Tests/Fuzz/one $(FUZZ) $(FUZZ_SECONDS)

# Build and install

# What is in memory counts: relocations are packed, which glibc 2.36 and later can read, the runtime's names are not exported, and what the agent
# always runs lies side by side. The linker is lld, which comes with Swift: gold cannot pack. See AgentDaemon's decision *What the agent keeps in
# memory*.
PACKED := $(shell printf '2.36\n%s\n' "$$(getconf GNU_LIBC_VERSION | sed 's/.* //')" | sort -VC && echo -Xlinker -z -Xlinker pack-relative-relocs)
LINK := -Xswiftc -use-ld=lld -Xlinker --gc-sections -Xlinker -z -Xlinker nostart-stop-gc -Xlinker --no-export-dynamic $(PACKED) \
    -Xlinker '--symbol-ordering-file=$(CURDIR)/Benchmarks/agent.order' -Xlinker --no-warn-symbol-ordering
BUILD := swift build -c release --static-swift-stdlib -Xswiftc -Xfrontend -Xswiftc -function-sections -Xcc -ffunction-sections $(LINK)

build: build-packages swift
	$(BUILD)

install: build
	@$(MAKE) --no-print-directory install-files BIN="$$($(BUILD) --show-bin-path)"
	@echo 'Installed. A first configuration to edit is in recipes/first: it belongs into /etc/rollcall.'

# Puts programs that are built, in the folder BIN, and all that belongs to them in place. An edited polkit rule stays as it is. Below DESTDIR
# nothing of this machine is touched: no user is made, nothing is told to systemd.
install-files:
	@[ -n '$(BIN)' ] || { echo 'Which programs? make install-files BIN=FOLDER' >&2; exit 1; }; \
	sudo=$$([ -n '$(DESTDIR)' ] || [ "$$(id -u)" = 0 ] || { $(needs-root); echo sudo; }); \
	staged=$$(mktemp -d); trap 'rm -rf "$$staged"' EXIT; \
	cp -r init/systemd init/upstart "$$staged"; \
	sed -i 's|/usr/local/bin/|$(PREFIX)/bin/|' "$$staged"/systemd/*.service "$$staged"/upstart/*.conf; \
	$$sudo install -D -s -m 755 $(PROGRAMS:%='$(BIN)'/%) -t '$(DESTDIR)$(PREFIX)/bin'; \
	$(install-for-$(INIT))

define install-for-systemd
$$sudo install -D -m 644 "$$staged"/systemd/*.service -t '$(DESTDIR)$(PREFIX)/lib/systemd/system'; \
	for user in rollcall-agent rollcall-aggregator; do \
	    $$sudo install -D -m 644 "$$staged/systemd/$$user.sysusers.conf" '$(DESTDIR)$(PREFIX)/lib/sysusers.d/'"$$user.conf"; \
	done; \
	rules='$(DESTDIR)/etc/polkit-1/rules.d'; \
	if $$sudo test -e "$$rules/49-rollcall-agent.rules"; then \
	    echo "$$rules/49-rollcall-agent.rules was there and stays as it is."; \
	else \
	    $$sudo test -d "$$rules" || $$sudo install -d -m 755 "$$rules"; \
	    $$sudo install -m 644 "$$staged/systemd/49-rollcall-agent.rules" "$$rules"; \
	fi; \
	if [ -z '$(DESTDIR)' ]; then \
	    $$sudo systemd-sysusers '$(PREFIX)/lib/sysusers.d/rollcall-agent.conf' '$(PREFIX)/lib/sysusers.d/rollcall-aggregator.conf'; \
	    [ ! -d /run/systemd/system ] || $$sudo systemctl daemon-reload; \
	fi
endef

define install-for-upstart
$$sudo install -D -m 644 "$$staged"/upstart/*.conf -t '$(DESTDIR)/etc/init'; \
	if [ -z '$(DESTDIR)' ]; then \
	    state=/var/lib/rollcall-aggregator; \
	    getent passwd rollcall-aggregator >/dev/null || \
	        $$sudo useradd --system --user-group --home-dir $$state --shell /usr/sbin/nologin rollcall-aggregator; \
	    $$sudo install -d -m 700 -o rollcall-aggregator -g rollcall-aggregator $$state; \
	fi
endef

# Measure: writes Benchmarks/RESULTS.md. Other programs running meanwhile are in the figures.

bench: build bench-packages
	@if [ "$$(id -u)" != 0 ]; then $(needs-root); sudo=sudo; fi; $${sudo:-} Benchmarks/bench.py --programs "$$($(BUILD) --show-bin-path)"

# What judging a deploy costs; prints its figures.
bench-deploys: test-packages swift
	$(BUILD) --product rollcall-agent
	$(BUILD) --product rollcall-aggregator
	$(BUILD) --product verify-token
	$(BUILD) --product DeployBenchmark
	@if [ "$$(id -u)" != 0 ]; then $(needs-root); sudo=sudo; fi; $${sudo:-} Benchmarks/deploys.py --programs "$$($(BUILD) --show-bin-path)"

# What the agent runs once it is past its start: writes Benchmarks/agent.order, which the next build links by.
order: build bench-packages
	@if [ "$$(id -u)" != 0 ]; then $(needs-root); sudo=sudo; fi; $${sudo:-} Benchmarks/order.py --programs "$$($(BUILD) --show-bin-path)"

# What the verbs need

bench-packages:
	@$(call get-packages,$(BENCH_PACKAGES))

build-packages:
	@$(call get-packages,$(BUILD_PACKAGES))

test-packages:
	@$(call get-packages,$(TEST_PACKAGES))

# Elsewhere than on Debian and its relatives it can only say what is needed. Debian starts the daemons of a package that is installed, which
# nobody asked for here: while packages are installed, policy-rc.d forbids it, unless this machine has a policy of its own.
define get-packages
if ! command -v dpkg-query >/dev/null; then \
	    echo 'This is no Debian system: please see to it that what these packages hold is installed: $(1)'; exit 0; \
	fi; \
	installed=" $$(dpkg-query -W -f '$${db:Status-Status} $${Package}\n' $(1) 2>/dev/null | sed -n 's/^installed //p' | tr '\n' ' ' || :)"; \
	missing=(); \
	for package in $(1); do [[ $$installed == *" $$package "* ]] || missing+=("$$package"); done; \
	[ $${#missing[@]} != 0 ] || exit 0; \
	echo "Installing what is missing: $${missing[*]}"; \
	sudo=; \
	if [ "$$(id -u)" != 0 ]; then $(needs-root); sudo=sudo; fi; \
	policy=/usr/sbin/policy-rc.d; \
	if [ ! -e "$$policy" ] && [ ! -L "$$policy" ]; then \
	    trap '$$sudo rm -f "$$policy"' EXIT; \
	    printf '#!/bin/sh\n# Rollcall: no service starts while packages are installed for its tests.\nexit 101\n' | \
	        $$sudo install -m 755 /dev/stdin "$$policy"; \
	fi; \
	$$sudo apt-get update -q || echo 'apt-get update failed; going on with the lists of packages that are there.'; \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends -o DPkg::Lock::Timeout=120 "$${missing[@]}"
endef

needs-root = command -v sudo >/dev/null || { echo 'This needs root, and there is no sudo: run it as root.' >&2; exit 1; }

swift:
	@version=$$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' || :); \
	if [ -z "$$version" ]; then \
	    echo 'Rollcall is built with Swift $(SWIFT_VERSION) or later, and there is no `swift` on the PATH: see https://www.swift.org/install/linux/' >&2; exit 1; \
	elif [ "$$(printf '%s\n' $(SWIFT_VERSION) "$$version" | sort -V | head -n 1)" != $(SWIFT_VERSION) ]; then \
	    echo "Rollcall is built with Swift $(SWIFT_VERSION) or later; `command -v swift` is Swift $$version: see https://www.swift.org/install/linux/" >&2; exit 1; \
	fi
