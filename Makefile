# Millrace. GNU make; no configure step.
#   make            the command, the libraries, the XDP program
#   make demo       the main job on a veth pair it makes itself
#   make test       everything that proves it; one closing line
#   make bench      Millrace beside the kernel and raw AF_XDP (BENCH="rr crr stream idle pass")
#   make sim-report what congestion controls get in the simulator, to docs/sim-report.md
#   make fuzz       every fuzz target for FUZZ_SECONDS (60), as many at a time as there are processors
# Variables: CC, SAN=1 (ASan+UBSan), DEBUG=1 (-O1 -g3), V=1 (show commands), PREFIX, DESTDIR

SHELL := /bin/bash
comma := ,
.DELETE_ON_ERROR:
.SUFFIXES:

CC       ?= gcc
ifeq ($(origin CC),default)
CC       := gcc
endif
CLANG    ?= clang
BPFTOOL  ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool /sbin/bpftool) bpftool)
PREFIX   ?= /usr/local
DESTDIR  ?=
VERSION  := $(shell sed -n 's/^\#define MR_VERSION "\(.*\)"/\1/p' include/millrace.h)
SOVERSION := 0

ifdef SAN
BUILD    ?= build/san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT      := -O1 -g
else
BUILD    ?= build
OPT      := -O2 -g
endif
ifdef DEBUG
OPT      := -O1 -g3
endif
Q := $(if $(V),,@)

WARN     := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
# Fuzz targets: built for libFuzzer with FUZZ=1 (make fuzz does that), else to replay the corpus.
ifdef FUZZ
SANFLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined \
            -fno-omit-frame-pointer
OPT      := -O2 -g
endif

LIBS     := -lbpf -lelf -lz -lmnl -lcap
CLI_LIBS := -ljson-c
CPPFLAGS += -D_GNU_SOURCE -Iinclude -Iuser -isystem $(BUILD)/gen
# At -O2 gcc joins the writes of two neighbouring counters (len and pkt_len of a frame), and the processor waits where
# one of them was just written alone; and it clears structs by `rep stos`, which takes long to begin.
TUNE     := $(foreach flag,-fno-tree-slp-vectorize -mmemset-strategy=unrolled_loop:256:noalign$(comma)libcall:-1:noalign \
            -mmemcpy-strategy=unrolled_loop:256:noalign$(comma)libcall:-1:noalign,$(shell \
            $(CC) -Werror $(flag) -E -x c /dev/null >/dev/null 2>&1 && echo $(flag)))
CFLAGS   += -std=gnu11 $(OPT) $(TUNE) $(WARN) $(SANFLAGS) -fPIC -fvisibility=hidden -fno-strict-aliasing
LDFLAGS  += $(SANFLAGS)

LIB_SRC  := $(sort $(wildcard user/base/*.c user/frame/*.c user/dev/*.c user/link/*.c user/ip/*.c \
            user/tcp/*.c user/socket/*.c user/engine/*.c user/kernel/*.c))
# What the keeper needs of the shim, too, is in the library.
LIB_SRC  += user/posix/file.c user/posix/ready.c user/posix/salvage.c
SHIM_SRC := $(filter-out $(LIB_SRC),$(sort $(wildcard user/posix/*.c)))
SHIM_OBJ := $(SHIM_SRC:%.c=$(BUILD)/%.o)
CLI_SRC  := $(sort $(wildcard user/cli/*.c))
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o) $(BUILD)/gen/layout.o
CLI_OBJ  := $(CLI_SRC:%.c=$(BUILD)/%.o)
HEADERS  := $(sort $(wildcard include/*.h include/*/*.h user/*/*.h))
SKEL     := $(BUILD)/gen/millrace.skel.h

UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
SIM_SRC  := $(sort $(wildcard tests/sim/*.c))
XDP_SRC  := $(sort $(wildcard tests/xdp/test_*.c))
TOOL_SRC := $(sort $(wildcard tests/tools/*.c))
CONF_SRC := $(sort $(wildcard tests/tools/posix_conf_*.c))
BENCH_SRC := $(filter-out %.bpf.c %/raw.c,$(sort $(wildcard tests/bench/*.c)))
UNIT_BIN := $(UNIT_SRC:%.c=$(BUILD)/%)
XDP_BIN  := $(XDP_SRC:%.c=$(BUILD)/%)
TOOL_BIN := $(patsubst %.c,$(BUILD)/%,$(filter-out $(CONF_SRC),$(TOOL_SRC)))
SIM_BIN  := $(if $(SIM_SRC),$(BUILD)/tests/sim/sim)
TEST_LIB := $(sort $(wildcard tests/lib/*.c))
TEST_LIB_OBJ := $(TEST_LIB:%.c=$(BUILD)/%.o)
FUZZ_NAMES := tcp_options segment calls packets pcapng http
FUZZ_BIN := $(FUZZ_NAMES:%=$(BUILD)/tests/fuzz/%)
FUZZ_LIB_OBJ := $(addprefix $(BUILD)/tests/,fuzz/host.o fuzz/memory.o sim/simdev.o sim/gso.o sim/packet.o) \
            $(if $(FUZZ),,$(BUILD)/tests/fuzz/replay.o)
TEST_BPF := $(patsubst %.bpf.c,$(BUILD)/%.bpf.o,$(sort $(wildcard tests/e2e/*.bpf.c tests/bench/*.bpf.c)))
BENCH_BIN := $(BUILD)/tests/bench/bench $(BUILD)/tests/bench/bench_raw

.PHONY: all lib cli tests demo sim-report test bench fuzz fuzzers check-style format vmlinux install clean deps
all: $(BUILD)/millrace $(BUILD)/libmillrace.a $(BUILD)/libmillrace.so.$(VERSION) \
     $(BUILD)/libmillrace-preload.so

# ---- XDP program and its skeleton (embedded: the command needs no .o file beside it) --------------
BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Wall -Wextra -Werror -Iinclude -Ivmlinux -Ibpf

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) include/millrace/xdp_abi.h vmlinux/vmlinux.h
	@mkdir -p $(@D)
	$(if $(V),,@echo "  BPF   $<")
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/gen/%.skel.h: $(BUILD)/bpf/%.bpf.o
	@mkdir -p $(@D)
	$(if $(V),,@echo "  SKEL  $@")
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

# The program without its short way, for the test that compares the two.
$(BUILD)/bpf/long_way.bpf.o: bpf/millrace.bpf.c $(wildcard bpf/*.h) include/millrace/xdp_abi.h vmlinux/vmlinux.h
	@mkdir -p $(@D)
	$(if $(V),,@echo "  BPF   $< (long way)")
	$(Q)$(CLANG) $(BPF_CFLAGS) -DMR_QUICK=false -c $< -o $@

$(BUILD)/tests/%.bpf.o: tests/%.bpf.c vmlinux/vmlinux.h
	@mkdir -p $(@D)
	$(if $(V),,@echo "  BPF   $<")
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

vmlinux:
	scripts/vmlinux > vmlinux/vmlinux.h.new && mv vmlinux/vmlinux.h.new vmlinux/vmlinux.h

# ---- User space ----------------------------------------------------------------------------------
$(BUILD)/user/kernel/xdp.o $(XDP_BIN:=.o): $(SKEL)
$(BUILD)/tests/xdp/test_program.o: $(BUILD)/gen/long_way.skel.h
.SECONDARY: $(BUILD)/bpf/millrace.bpf.o $(BUILD)/bpf/long_way.bpf.o

# Processes that share a stack read and write one memory: they were built from the same headers, or are refused.
$(BUILD)/gen/layout.c: $(HEADERS)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  GEN   $@")
	$(Q)cat $^ | cksum | awk '{ printf "const unsigned share_layout = %su;\n", $$1 }' > $@

$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	$(if $(V),,@echo "  CC    $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC    $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libmillrace.a: $(LIB_OBJ)
	$(if $(V),,@echo "  AR    $@")
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/libmillrace.so.$(VERSION): $(LIB_OBJ)
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libmillrace.so.$(SOVERSION) $(if $(SAN),,-Wl,-z,defs) -o $@ $^ $(LIBS)

$(BUILD)/millrace: $(CLI_OBJ) $(BUILD)/libmillrace.a
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(CLI_LIBS)

# The shim: the stack's own calls of functions that it interposes go around it (user/posix/libc.c). Where one of its
# functions calls another, that one is meant, though the program may have one of that name (-Bsymbolic-functions).
$(BUILD)/libmillrace-shim.a: $(BUILD)/libmillrace.a user/posix/libc.h
	$(if $(V),,@echo "  SHIM  $@")
	$(Q)sed -n 's/^[a-zA-Z].*[ *]\(libc_\([a-z0-9]*\)\)(.*/\2 \1/p' user/posix/libc.h > $@.names
	$(Q)objcopy --redefine-syms=$@.names $< $@

$(BUILD)/libmillrace-preload.so: $(SHIM_OBJ) $(BUILD)/libmillrace-shim.a user/posix/preload.map
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libmillrace-preload.so \
		-Wl,-Bsymbolic-functions -Wl,--version-script=user/posix/preload.map -Wl,--as-needed \
		$(if $(SAN),,-Wl,-z,defs) \
		-o $@ $(SHIM_OBJ) $(BUILD)/libmillrace-shim.a

# ---- Tests ---------------------------------------------------------------------------------------
tests: all $(UNIT_BIN) $(SIM_BIN) $(XDP_BIN) $(TOOL_BIN) $(FUZZ_BIN) $(BENCH_BIN) $(TEST_BPF)

# The tests of the command's files link what they need of the command, without its main().
$(BUILD)/libcli.a: $(filter-out %/main.o,$(CLI_OBJ))
	$(if $(V),,@echo "  AR    $@")
	$(Q)rm -f $@ && ar rcs $@ $^

$(filter $(CLI_SRC:user/cli/%.c=$(BUILD)/tests/unit/test_%),$(UNIT_BIN)): $(BUILD)/libcli.a

$(BUILD)/tests/unit/test_bench_latency: $(BUILD)/tests/bench/latency.o

$(UNIT_BIN) $(XDP_BIN): $(BUILD)/%: $(BUILD)/%.o $(TEST_LIB_OBJ) $(BUILD)/libmillrace.a
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %/libcli.a,$^) $(filter %/libmillrace.a,$^) \
		$(LIBS) $(if $(filter %/libcli.a,$^),$(CLI_LIBS)) -lcmocka

$(SIM_BIN): $(SIM_SRC:%.c=$(BUILD)/%.o) $(BUILD)/libmillrace.a
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) -lm

$(BUILD)/tests/tools/posix_conf: $(CONF_SRC:%.c=$(BUILD)/%.o)
$(TOOL_BIN): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/libmillrace.a
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/bench/bench: $(BENCH_SRC:%.c=$(BUILD)/%.o) $(BUILD)/libmillrace.a
$(BUILD)/tests/bench/bench_raw: $(BUILD)/tests/bench/raw.o $(addprefix $(BUILD)/tests/bench/,latency.o run.o) $(BUILD)/libmillrace.a
$(BENCH_BIN):
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(FUZZ_BIN): $(BUILD)/%: $(BUILD)/%.o $(FUZZ_LIB_OBJ) $(BUILD)/libcli.a $(BUILD)/libmillrace.a
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) $(if $(FUZZ),-fsanitize=fuzzer) -o $@ $^ $(LIBS)

# The checks walk every table after every step: instrumented they would take most of the time, and lead
# nowhere.
ifdef FUZZ
$(BUILD)/user/tcp/tcp_check.o: SANFLAGS :=
$(BUILD)/user/tcp/tcp_check.o: OPT := -O2 -g
$(FUZZ_LIB_OBJ) $(BUILD)/tests/fuzz/calls.o $(BUILD)/tests/fuzz/segment.o: \
		SANFLAGS := $(subst fuzzer-no-link$(comma),,$(SANFLAGS))
# libFuzzer watches what is compared, to put it into its inputs. That helps where bytes of the input are
# compared; elsewhere it is a third of the time, for nothing.
FUZZ_PARSERS := $(BUILD)/user/tcp/tcp_wire.o $(BUILD)/user/dev/pcapng.o \
            $(filter $(BUILD)/user/ip/% $(BUILD)/user/link/%,$(LIB_OBJ))
$(filter-out $(FUZZ_PARSERS),$(LIB_OBJ)): SANFLAGS += -fno-sanitize-coverage=trace-cmp
endif

fuzzers: $(FUZZ_BIN)

deps:
	@scripts/deps

# The dependencies come first; then a make of its own, so that freshly installed tools are found.
test: deps
	@$(MAKE) --no-print-directory -j$$(nproc) tests
	@BUILD=$(BUILD) tests/run

fuzz: deps
	@$(MAKE) --no-print-directory -j$$(nproc) FUZZ=1 CC=$(CLANG) BUILD=build/fuzz fuzzers
	@scripts/fuzz build/fuzz $(FUZZ_NAMES)

bench: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all $(BENCH_BIN) $(BUILD)/tests/bench/raw.bpf.o
	@BUILD=$(BUILD) scripts/bench $(BENCH_ARGS)

# Goodput of each congestion control over a grid of paths, beside its theoretical bound; fails where one is below:
# ten minutes or more.
sim-report: $(SIM_BIN)
	@$(SIM_BIN) --report docs/sim-report.md

demo: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@scripts/demo

# ---- Habits --------------------------------------------------------------------------------------
STYLE_SRC := $(sort $(wildcard user/*/*.[ch] include/*.h include/millrace/*.h bpf/*.[ch] tests/*/*.[ch]))
check-style: compile_commands.json
	@scripts/check-style $(STYLE_SRC)

format:
	clang-format -i $(STYLE_SRC)

compile_commands.json: $(SKEL) $(BUILD)/gen/long_way.skel.h Makefile scripts/compile-commands
	@scripts/compile-commands "$(CC) $(CPPFLAGS) $(CFLAGS)" $(LIB_SRC) $(SHIM_SRC) $(CLI_SRC) $(UNIT_SRC) \
		$(SIM_SRC) $(XDP_SRC) $(TOOL_SRC) $(BENCH_SRC) tests/bench/raw.c $(TEST_LIB) \
		$(wildcard tests/fuzz/*.c) > $@

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include \
		$(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 docs/millrace.1 $(DESTDIR)$(PREFIX)/share/man/man1/millrace.1
	install -d $(DESTDIR)$(PREFIX)/share/millrace/profiles
	install -m 644 scripts/profiles/* $(DESTDIR)$(PREFIX)/share/millrace/profiles/
	install -m 755 $(BUILD)/millrace $(DESTDIR)$(PREFIX)/bin/millrace
	install -m 644 include/millrace.h $(DESTDIR)$(PREFIX)/include/millrace.h
	install -m 644 $(BUILD)/libmillrace.a $(DESTDIR)$(PREFIX)/lib/libmillrace.a
	install -m 755 $(BUILD)/libmillrace.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libmillrace.so.$(VERSION)
	install -m 755 $(BUILD)/libmillrace-preload.so $(DESTDIR)$(PREFIX)/lib/libmillrace-preload.so
	ln -sf libmillrace.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libmillrace.so.$(SOVERSION)
	ln -sf libmillrace.so.$(SOVERSION) $(DESTDIR)$(PREFIX)/lib/libmillrace.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS@|$(LIBS)|' \
		scripts/millrace.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/millrace.pc

clean:
	rm -rf build $(BUILD) compile_commands.json

-include $(LIB_OBJ:.o=.d) $(SHIM_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(TEST_LIB_OBJ:.o=.d) \
	$(TOOL_BIN:=.d) $(CONF_SRC:%.c=$(BUILD)/%.d) \
	$(UNIT_BIN:=.d) $(FUZZ_BIN:=.d) $(FUZZ_LIB_OBJ:.o=.d) $(SIM_SRC:%.c=$(BUILD)/%.d) $(XDP_BIN:=.d) \
	$(BENCH_SRC:%.c=$(BUILD)/%.d) $(BUILD)/tests/bench/raw.d
