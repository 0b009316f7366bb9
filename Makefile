# SPDX-License-Identifier: AGPL-3.0-or-later
# make            build            make run      serve a small real machine
# make check      tests            make check-full  all of them      make soak  tests without an end
# make bench      figures          make coverage    lines that the tests run
#                                  make lint, make docs, make check-docs, make bless, make fuzz
# make install    DESTDIR= PREFIX=
PREFIX     ?= /usr
SYSCONFDIR ?= /etc/qemu-web-desktop
LIBDIR     := $(PREFIX)/lib/qemu-web-desktop
DATADIR    := $(PREFIX)/share/qemu-web-desktop
CGIDIR     := $(PREFIX)/lib/cgi-bin
MANDIR     := $(PREFIX)/share/man
APACHEDIR  ?= /etc/apache2
PAMDIR     ?= /etc/pam.d
CRONDIR    ?= /etc/cron.d
ROTATEDIR  ?= /etc/logrotate.d
UNITDIR    ?= /lib/systemd/system

# VARIANT=asan is the build with address and undefined-behaviour sanitizers that the tests use, VARIANT=coverage the one
# that counts what is run.
VARIANT ?= release
B       := build/$(VARIANT)
VERSION := $(shell cat etc/version)

ifeq ($(origin CC),default)
CC := gcc
endif
# make V=1 shows the commands.
Q := $(if $(V),,@)
PKGS     := glib-2.0 jansson
CPPFLAGS += -D_GNU_SOURCE -D_FORTIFY_SOURCE=2 -Isrc -DQWD_VERSION='"$(VERSION)"' -DQWD_SYSCONFDIR='"$(SYSCONFDIR)"' \
            -DQWD_LIBDIR='"$(LIBDIR)"' -DQWD_DATADIR='"$(DATADIR)"' -DG_LOG_DOMAIN='"qwd"'
CFLAGS_release := -O2 -g
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS_asan   := -fsanitize=address,undefined
CFLAGS_coverage  := -O0 -g --coverage -fprofile-update=atomic
LDFLAGS_coverage := --coverage
ifneq ($(VARIANT),release)
CPPFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CPPFLAGS))
endif
CFLAGS   += -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wwrite-strings -Wformat=2 -Werror=format-security -Werror=implicit-function-declaration -Wvla -fstack-protector-strong -fstack-clash-protection -fPIE $(CFLAGS_$(VARIANT))
CFLAGS   += $(if $(WERROR),-Werror) $(shell pkg-config --cflags $(PKGS))
LDFLAGS  += -Wl,-z,relro,-z,now -Wl,--as-needed -pie $(LDFLAGS_$(VARIANT))
LIBS     := $(shell pkg-config --libs $(PKGS))

# Floors 0 to 4 make one library; each face is a folder with a main().
FLOORS   := base core vm display auth mail fetch engine app web
LIB_OBJ  := $(patsubst src/%.c,$(B)/%.o,$(wildcard $(FLOORS:%=src/%/*.c)))
FACES    := cgi session ctl server
PROGRAM_cgi := qemu-web-desktop.cgi
PROGRAM_session := qwd-session
PROGRAM_ctl := qwdctl
PROGRAM_server := qwd-server
LIBS_cgi    := $(shell pkg-config --libs libqrencode liboath)
LIBS_ctl    := $(LIBS_cgi)
LIBS_server := $(shell pkg-config --libs libmicrohttpd zlib)
# Each file of helpers/ is a program of its own, for what needs a heavy or privileged library.
HELPERS         := $(patsubst src/helpers/%.c,%,$(wildcard src/helpers/*.c))
LIBS_auth-local := -lpam -lcrypt
LIBS_auth-ldap  := $(shell pkg-config --libs ldap)
LIBS_auth-imap  := $(shell pkg-config --libs libcurl)
LIBS_auth-smtp  := $(LIBS_auth-imap)
LIBS_mail       := $(LIBS_auth-imap)
LIBS_download   := $(LIBS_auth-imap)
LIBS_fetch      := $(LIBS_auth-imap)
LIBS_confine    := $(shell pkg-config --libs libseccomp)
LIBS_multipart  := $(shell pkg-config --libs gmime-3.0)
$(B)/helpers/multipart.o: CFLAGS += $(shell pkg-config --cflags gmime-3.0)
PROGRAMS := $(foreach f,$(FACES),$(B)/$(PROGRAM_$(f))) $(HELPERS:%=$(B)/qwd-%)

all: $(PROGRAMS)

define face
$(B)/$(PROGRAM_$(1)): $(patsubst src/%.c,$(B)/%.o,$(wildcard src/$(1)/*.c)) $(B)/libqwd.a
	@echo "  LINK $$@"
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS) $(LIBS_$(1))
endef
$(foreach f,$(FACES),$(eval $(call face,$(f))))

$(HELPERS:%=$(B)/qwd-%): $(B)/qwd-%: $(B)/helpers/%.o $(B)/libqwd.a
	@echo "  LINK $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(LIBS_$*)

$(B)/libqwd.a: $(LIB_OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Unit tests: one program for each tests/unit/test_*.c; other programs of the tests stand in tests/*.c. They link the
# library alone; `unit` builds the programs as well, so that a mistake in a face does not pass.
UNIT_SRC  := $(wildcard tests/unit/test_*.c)
UNIT      := $(UNIT_SRC:tests/unit/%.c=$(B)/tests/%)
LIBS_test := $(LIBS_cgi) $(LIBS_auth-ldap) $(shell pkg-config --libs zlib)
unit: all $(UNIT)
$(B)/tests/%: tests/unit/%.c $(B)/libqwd.a
	@mkdir -p $(@D)
	@echo "  TEST $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< $(B)/libqwd.a $(LIBS) $(LIBS_test)

# The tests' VNC viewer.
PROBE_SRC := tests/vnc-probe.c tests/vnc-probe-actions.c tests/websocket-bridge.c
$(B)/tests/vnc-probe: $(PROBE_SRC) $(wildcard tests/*.h) $(B)/libqwd.a
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -Itests $$(pkg-config --cflags libvncclient libpng) $(LDFLAGS) -o $@ $(PROBE_SRC) \
		$(B)/libqwd.a $(LIBS) $$(pkg-config --libs libvncclient libpng)

# Fuzzers (libFuzzer): make fuzz FUZZ_S=60. New inputs that reach new code stay in build/fuzz; what breaks a target is
# written there and belongs into tests/fuzz/corpus, which the unit tests replay.
FUZZ_S   ?= 60
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZERS  := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=fuzz-%)
$(B)/fuzz-%: tests/fuzz/fuzz_%.c $(B)/libqwd.a
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBS) $(LIBS_test)
.PRECIOUS: $(B)/fuzz-%
fuzz:
	$(MAKE) VARIANT=asan B=build/fuzz CC="clang -fsanitize=fuzzer-no-link" $(FUZZERS)
fuzz-%: $(B)/fuzz-%
	@mkdir -p build/fuzz/corpus-$*
	$< -max_total_time=$(FUZZ_S) -timeout=10 -print_final_stats=1 -artifact_prefix=build/fuzz/$*- \
		build/fuzz/corpus-$* tests/fuzz/corpus/$*

# --- using it ---

run:
	scripts/install-deps build run machines
	$(MAKE)
	scripts/run

install: all
	install -D -m 755 $(B)/qemu-web-desktop.cgi $(DESTDIR)$(CGIDIR)/qemu-web-desktop.cgi
	install -D -m 755 $(B)/qwd-session $(DESTDIR)$(LIBDIR)/qwd-session
	install -m 644 etc/websockify/qwd_viewer.py $(DESTDIR)$(LIBDIR)/qwd_viewer.py
	$(if $(HELPERS),install -m 755 -t $(DESTDIR)$(LIBDIR) $(HELPERS:%=$(B)/qwd-%))
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(B)/qwdctl $(B)/qwd-server
	install -d $(DESTDIR)$(DATADIR)/html/static $(DESTDIR)$(DATADIR)/html/mail
	install -m 755 scripts/import-darts $(DESTDIR)$(DATADIR)/import-darts
	install -m 644 -t $(DESTDIR)$(DATADIR)/html $(wildcard html/*.html html/*.svg)
	install -m 644 -t $(DESTDIR)$(DATADIR)/html/static $(wildcard html/static/*.*)
	install -D -m 644 -t $(DESTDIR)$(DATADIR)/html/static/viewer $(wildcard html/static/viewer/*)
	install -m 644 -t $(DESTDIR)$(DATADIR)/html/mail $(wildcard html/mail/*)
	install -D -m 644 -t $(DESTDIR)$(DATADIR)/html/i18n $(wildcard html/i18n/*.json)
	install -D -m 644 -t $(DESTDIR)$(SYSCONFDIR) etc/qemu-web-desktop.conf etc/machines.conf etc/scripts.conf etc/folders.conf etc/groups.conf
	install -m 755 etc/mount-folders.sh $(DESTDIR)$(DATADIR)/mount-folders.sh
	install -d $(DESTDIR)$(SYSCONFDIR)/config.d
	install -D -m 644 etc/pam.d/qemu-web-desktop $(DESTDIR)$(PAMDIR)/qemu-web-desktop
	install -D -m 644 etc/apache2/qemu-web-desktop.conf $(DESTDIR)$(APACHEDIR)/conf-available/qemu-web-desktop.conf
	install -D -m 644 etc/cron.d/qemu-web-desktop $(DESTDIR)$(CRONDIR)/qemu-web-desktop
	install -D -m 644 etc/logrotate.d/qemu-web-desktop $(DESTDIR)$(ROTATEDIR)/qemu-web-desktop
	install -D -m 644 -t $(DESTDIR)$(UNITDIR) etc/systemd/qemu-web-desktop-clean.service etc/systemd/qemu-web-desktop-clean.timer
	install -D -m 644 -t $(DESTDIR)$(UNITDIR)/apache2.service.d etc/systemd/apache2.service.d/qemu-web-desktop.conf
	install -D -m 644 -t $(DESTDIR)$(MANDIR)/man1 etc/man/qwdctl.1 etc/man/qwd-server.1
	install -D -m 644 -t $(DESTDIR)$(MANDIR)/man5 etc/man/qemu-web-desktop.conf.5
	install -D -m 644 etc/bash-completion/qwdctl $(DESTDIR)$(PREFIX)/share/bash-completion/completions/qwdctl

machine-desktop: machine-debian-desktop
machine-%:
	scripts/install-deps machines
	machines/build $*

# --- keeping it right ---

# The quick tier, and all of it (tests/README.md).
check: test-programs
	tests/run
check-full: test-programs
	tests/run --full
test-programs:
	scripts/install-deps build run test machines
	$(MAKE) all $(B)/tests/vnc-probe
	$(MAKE) VARIANT=asan all unit

# Tests without an end of their own: each fuzzer for SOAK_S seconds, and SOAK_SESSIONS sessions one after another.
SOAK_S        ?= 3600
SOAK_SESSIONS ?= 50000
soak: test-programs
	$(MAKE) fuzz FUZZ_S=$(SOAK_S)
	QWD_SESSIONS=$(SOAK_SESSIONS) tests/run --full session/endurance

# Golden files and generated documents, to be reviewed as a diff.
bless: docs
	$(MAKE) VARIANT=asan unit
	BLESS=1 tests/run unit integration/qwdctl integration/purge integration/gpu
docs: all
	scripts/make-docs $(B)
check-docs: all
	scripts/make-docs --check $(B)
lint:
	tests/check-source
	$(MAKE) VARIANT=release WERROR=1 B=build/lint-gcc CC=gcc all
	$(MAKE) VARIANT=release WERROR=1 B=build/lint-clang CC=clang all

# Which lines of src/ the unit tests and these files of tests/ run: build/coverage/coverage.txt and html/index.html there.
COVERAGE_TESTS ?= $(patsubst tests/%.test.mjs,%,$(wildcard tests/auth/*.test.mjs tests/integration/*.test.mjs))
coverage:
	scripts/install-deps build run test coverage
	$(MAKE) VARIANT=coverage unit build/coverage/tests/vnc-probe
	tests/coverage build/coverage $(COVERAGE_TESTS)

bench: all $(B)/tests/vnc-probe
	tests/bench/run

clean:
	rm -rf build

.PHONY: all clean unit machine-desktop run install check check-full test-programs soak bless docs check-docs lint coverage bench fuzz
-include $(shell find $(B) -name '*.d' -type f 2>/dev/null)
