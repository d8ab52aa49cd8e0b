# Thin front over meson; tools/*.sh do the work and say what they do.
PREFIX  ?= /usr/local
DESTDIR ?=
# Ctrl-C is for the script alone: make would not wait for what it ends, and fail.
FOREGROUND := bash -c '[ -t 0 ] && set -m; setpriv --pdeathsig TERM "$$@"; exit' -

all: setup
	@tools/build.sh release

setup:
	@tools/setup.sh build

run:
	@tools/setup.sh run
	@tools/build.sh release
	@$(FOREGROUND) tools/run.sh

demo:
	@tools/setup.sh run
	@tools/build.sh release
	@$(FOREGROUND) tools/run.sh --demo

test:
	@tools/setup.sh test
	@tools/test.sh

bench: all
	@tools/bench.sh $(PARTS)

lint:
	@tools/setup.sh test
	@tools/lint.py

format:
	@git ls-files '*.c' '*.h' | xargs clang-format-19 -i

install:
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' tools/install.sh

clean:
	@rm -rf build ui/dist

.PHONY: all setup run demo test bench lint format install clean
