# `make demo` and `make test` are all that needs typing on a machine with Rust, a C++ compiler and Python 3 with pip.
#
# Every target builds with the one profile `--release`: torch-sys compiles for minutes, once per profile.
# libtorch is obtained once into .libtorch, unless LIBTORCH (an absolute path) or LIBTORCH_USE_PYTORCH=1 names your own.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:

PREFIX ?= $(HOME)/.local
PYTHON ?= python3
TARGET := $(or $(CARGO_TARGET_DIR),target)
BINARY := $(TARGET)/release/affine

# Of Lua code, against the stubs; the standard library apart, because scripts are to see its stubs and not its code.
# .emmyrc.json leaves out `unnecessary-if`, which takes a flag that a loop or a pcall sets for a constant, and the strict
# reading of t[i] as perhaps nil.
TYPE_CHECK := .tools/bin/emmylua_check --config .emmyrc.json --warnings-as-errors

.PHONY: build demo test check peer-check bench gpu-check install libtorch clean ready compilers

build: ready
	cargo build --release --locked

demo: build
	@$(BINARY) scripts/full.lua

test: ready
	@cargo test --release --locked

check: ready .tools/bin/stylua .tools/bin/emmylua_check
	@cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings
	.tools/bin/stylua --check $(wildcard lua-stdlib scripts config.lua tests/lua)
	$(TYPE_CHECK) . --ignore 'tests/**'
	$(TYPE_CHECK) lua-stdlib
	echo "Formatting, lints and types are as they should be."

# Against Python where Python is the reference. Wants a Python of at least 3.11, and Java for ScienceWorld and WebShop;
# obtains the originals with pip. `make peer-check CHECKS="babyai sciworld"` runs some alone.
peer-check: build
	@PYTHON=$(PYTHON) scripts/dev/peer/run.sh $(abspath $(BINARY)) $(CHECKS)

# Speed and memory beside transformers, PEFT and TRL: scripts/dev/bench/README.md says how to read it. Wants a Python of at least
# 3.11 and obtains the peers with pip (4 GB), unless PYTHON names one that has them.
# `make bench BENCH="sft-small growth" ROUNDS=2` runs some of it, shorter.
bench: build
	@PYTHON=$(PYTHON) scripts/dev/bench/run.sh $(abspath $(BINARY)) $(BENCH)

# What a GPU machine with a PyTorch 2.11.0 of its own needs, in one folder: the binary without its symbols, the checks, the
# measurements of both sides, the recorded models. Where there is a GPU here, runs it.
gpu-check: build
	@folder=$(TARGET)/gpu-check
	rm -rf "$$folder" && mkdir -p "$$folder"
	strip -o "$$folder/affine" $(BINARY)
	cp -r scripts/dev/gpu/* scripts/dev/bench/make_model.py tests/golden/parity "$$folder"
	if [ -e /dev/nvidia0 ]; then
	  "$$folder/run.sh" $(PYTHON)
	else
	  echo "There is no GPU here. Carry $$folder ($$(du -sh "$$folder" | cut -f1)) to a machine with one and start ./run.sh there."
	fi

install: build
	@install -D -m 755 $(BINARY) "$(DESTDIR)$(PREFIX)/bin/affine"
	echo "affine is in $(PREFIX)/bin and runs from any folder. It uses the libtorch of this clone, so keep this folder."
	[[ ":$$PATH:" == *":$(PREFIX)/bin:"* ]] || echo "$(PREFIX)/bin is not on your PATH."

# Leaves libtorch, models and runs alone.
clean:
	@cargo clean

.tools/bin/stylua:
	@echo "Installing stylua into .tools, once: a minute or two."
	cargo install stylua --version 2.6.0 --locked --features lua54 --root .tools --quiet

.tools/bin/emmylua_check:
	@echo "Installing emmylua_check into .tools, once: a few minutes."
	cargo install emmylua_check --version 0.25.1 --locked --root .tools --quiet

# What every build needs.
ready: libtorch
	@ls $(TARGET)/release/build/torch-sys-*/out/libtch.a >/dev/null 2>&1 ||
	  echo "Building affine. The first time takes 5 to 10 minutes, most of it torch-sys; later ones seconds."

# libtorch ------------------------------------------------------------------------------------------------------------

# Not empty: the CUDA libraries are obtained too. Looks for the driver's library, which the binary opens as well.
WITH_CUDA ?= $(shell PATH=$$PATH:/sbin ldconfig -p 2>/dev/null | grep -o -m 1 'libcuda\.so\.1')

# No Python of these wheels is used, so those for one Python serve whatever Python runs pip.
PLATFORMS := manylinux2014_x86_64 $(foreach glibc,$(shell seq 17 28),manylinux_2_$(glibc)_x86_64)
PIP_INSTALL := $(PYTHON) -m pip install --no-deps --no-compile --only-binary=:all: --implementation cp \
  --python-version 3.12 $(PLATFORMS:%=--platform %)
# libtorch_cpu.so needs the CUDA runtime and CUPTI even where there is no GPU; the headers of the runtime and of crt (130 kB)
# make CUDA graphs.
WHEELS := torch==2.11.0 'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-cupti==13.0.*' 'nvidia-cuda-crt==13.0.*'
# libtorch_cuda.so needs these beside them: the versions that torch 2.11.0 and its cuda-toolkit 13.0.2 ask for.
CUDA_WHEELS := 'nvidia-cublas==13.1.0.3.*' 'nvidia-cuda-nvrtc==13.0.88.*' 'nvidia-cufft==12.0.0.61.*' \
  'nvidia-cufile==1.15.1.6.*' 'nvidia-curand==10.4.0.35.*' 'nvidia-cusolver==12.0.4.66.*' \
  'nvidia-cusparse==12.6.3.3.*' 'nvidia-nvjitlink==13.0.88.*' nvidia-cudnn-cu13==9.19.0.56 \
  nvidia-cusparselt-cu13==0.8.0 nvidia-nccl-cu13==2.28.9 nvidia-nvshmem-cu13==3.4.5

# Said before anything is downloaded.
compilers:
	@fail() { echo "$$1" >&2; exit 1; }
	command -v cargo >/dev/null || fail "There is no cargo: install Rust, see https://rustup.rs."
	command -v "$${CXX:-c++}" >/dev/null || fail "There is no C++ compiler: apt-get install g++."

libtorch: compilers
ifeq ($(LIBTORCH)$(LIBTORCH_USE_PYTORCH),)
libtorch: $(if $(WITH_CUDA),.libtorch/cuda,.libtorch/link/build-version)
endif

# Made whole in a folder beside it and then renamed, so that an interrupted download never looks finished. The folder
# `link` is what torch-sys is given: it shows the CPU libraries alone, so that the binary runs on every machine; where
# there is a driver it opens libtorch_cuda.so by itself.
.libtorch/link/build-version .libtorch/cuda:
	@fail() { echo "$$1" >&2; exit 1; }
	own="set LIBTORCH to the folder of your own PyTorch 2.11.0"
	[ "$$(uname -sm)" = "Linux x86_64" ] || fail "libtorch is obtained for Linux on x86-64 only: $$own."
	$(PYTHON) -m pip --version >/dev/null 2>&1 ||
	  fail "$(PYTHON) with pip is needed to obtain libtorch: apt-get install python3-pip, or $$own."
	echo "Obtaining libtorch 2.11.0, once: $(if $(WITH_CUDA),3 GB with its CUDA libraries,530 MB) to download, half a minute to some minutes."
	part=.libtorch.part
	rm -rf $$part && mkdir -p $$part/tmp
	# pip unpacks below TMPDIR and moves from there: on the same disk that is a rename.
	TMPDIR="$$PWD/$$part/tmp" PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 \
	  $(PIP_INSTALL) $$([ -t 1 ] || echo --quiet) --target $$part $(WHEELS) $(if $(WITH_CUDA),$(CUDA_WHEELS)) ||
	  fail "pip could not obtain libtorch, see above. It must be pip 21 or newer ($(PYTHON) -m pip install --upgrade pip); or $$own."
	rm -rf $$part/tmp
	mkdir -p $$part/link/lib
	ln -s ../torch/include $$part/link/include
	ln -s ../../torch/lib/libc10.so ../../torch/lib/libtorch_cpu.so $$part/link/lib/
	# `-ltorch` would otherwise ask for libtorch_cuda.so.
	ln -s libtorch_cpu.so $$part/link/lib/libtorch.so
	echo 2.11.0 >$$part/link/build-version
	$(if $(WITH_CUDA),touch $$part/cuda)
	rm -rf .libtorch
	mv $$part .libtorch
	echo "libtorch is in .libtorch ($$SECONDS s)."
