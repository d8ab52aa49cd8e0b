# Thin front over meson; tools/*.sh do the work and say what they do.
PREFIX  ?= /usr/local
DESTDIR ?=
RELEASE := build/release
DEBUG   := build/debug

all: setup
	@tools/build.sh release

setup:
	@tools/setup.sh build

run:
	@tools/setup.sh run
	@tools/build.sh release
	@tools/run.sh

demo:
	@tools/setup.sh run
	@tools/build.sh release
	@tools/run.sh --demo

test:
	@tools/setup.sh test
	@tools/test.sh

bench: all
	@tools/bench.sh

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
