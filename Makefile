# Two commands do everything: `make demo` shows it, `make test` proves it. Scripts are in tools/.
PREFIX ?= /usr/local

.PHONY: all demo test check bench wheel go-module install clean setup

all: setup              ## the library, the wheel and the Go package, in build/
	tools/build.sh

demo: all               ## the main job: four languages count a real corpus in one region, and one is killed
	tools/demo.sh

test: all               ## all tests of all languages
	tools/test.sh

check: setup            ## formatting, lints, and that generated files are fresh
	tools/check.sh

bench: all              ## figures beside the peers; one group: make bench GROUP=lock
	tools/bench.sh $(GROUP)

wheel: setup            ## the Python wheel, in build/wheel
	tools/wheel.sh

go-module: setup        ## the Go release module as a file proxy, in build/go-module
	tools/go-module.sh

install:                ## the C library, header and pkg-config file under PREFIX (DESTDIR is respected)
	tools/c-install.sh $(PREFIX)

setup:                  ## what the tools need, into .venv; says which parts of a toolchain are missing
	tools/setup.sh

clean:                  ## removes everything that was built or installed into the checkout
	cargo clean
	rm -rf build .venv
