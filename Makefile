# SPDX-License-Identifier: GPL-2.0
# The one entry point: make help lists every target.

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.SUFFIXES:
.DEFAULT_GOAL := help

# The build folder.
O ?= build
override O := $(abspath $(O))
# The kernel git tree to work on: by default made by make tree, or a developer's own.
TREE ?= $(O)/tree
override TREE := $(abspath $(TREE))
# The kernel source for make tree: a directory, a tarball or a git clone; the package without it.
KSRC ?=
# Debug fragments of the kernel config.
DEBUG ?=

VM := tools/testing/vm
STEP := $(VM)/step
ifneq ($(words $(CURDIR) $(O) $(TREE)),3)
$(error the kernel's makefiles can't build in a folder with a blank in its path: move this checkout, O= or TREE=)
endif
empty :=
space := $(empty) $(empty)
# One folder per flavour and per tree.
prefix := $(O)/$(if $(filter $(O)/tree,$(TREE)),,$(notdir $(TREE))-)
KERNEL := $(prefix)kernel$(if $(strip $(DEBUG)),-$(subst $(space),-,$(strip $(DEBUG))))
SELFTESTS := $(prefix)selftests
FRAGMENTS := arm64 $(if $(strip $(DEBUG)),tests $(filter-out tests,$(DEBUG)))

.PHONY: help
help:
	@sed -n 's/^## \{0,1\}//p' Makefile

## make demo         boot the kernel and run a device's DMA through a nested domain, step by step
## make check        all checks of sources, builds, boots and tests; the last line counts them
## make check-quick  the checks before a commit: sources, and the tests on one kernel
## make check-PART   one part of it: lint docs series releases kernels steps modules distros-quick harness
##                   static kunit iommufd x86 smmuv3 vfio info demo vmm (modules, harness, and all from
##                   kunit on but x86, use the kernels of check-kernels)
## make check-releases  check that the series applies to each linux-source-6.12 that Debian serves
## make check-distros   the demo and more in fresh roots of Debian 12 and 13, as root; check-distros-quick
##                      has the steps before a kernel, and some selftests. As root, a whole check runs
##                      check-distros-quick for the Debian that this machine does not have
##
## make tree         the kernel as a git tree in build/tree, one commit per patch on the tag base
## make export       write the commits of that tree back as patches/ and new files
## make series       the series as mails for git am, in build/series; PART=NAME: one part of it, in
##                   build/series-NAME (the parts are in patches/series)
## make series-build build and boot each step of the series; FROM=REV: only the new steps since that
##                   revision of this repository (by default HEAD^, FROM= for all)
##
## make kernel       the arm64 kernel of the test VM, in build/kernel
## make selftests    the iommu selftests of the tree, static, in build/selftests
## make run          boot that kernel and run a program: PROG="iommufd -l", MACHINE=dt (or acpi, plain),
##                   RUN="..." for more options, see tools/testing/vm/run --help
## make bench        count the instructions that each ioctl takes, beside 6.12 without the series and the
##                   kernels whose build folders are in PEER (by default mainline's, if it is there)
## make bench-peer   build mainline for that, in build/kernel-peer
## make vmm          Debian's QEMU 11 in the test VM: guests whose devices are behind an accelerated SMMUv3
## make shell        boot that kernel with a shell on the console
## make deb          Debian packages for arm64 servers, in build/deb: kernel, headers, iommufd-info.
##                   CONFIG=FILE: a server's own config; or a flavour of Debian's (cloud-arm64 ...)
## make check-deb    install them in a Debian 13 in the test VM, and run guests there
## make deps         install missing packages (also done by the targets above) for the demo; with
##                   SETS="check x86" for make check
## make clean        remove the build folder
##
## O=DIR             build there instead of in build/
## KSRC=PATH         kernel source: a directory, tarball or git clone instead of Debian's linux-source-6.12
## TREE=DIR          use this kernel git tree instead of build/tree, and change nothing in it
## DEBUG="..."       kernel with debug fragments, in a separate folder: debug (lockdep, kmemleak,
##                   UBSAN ...), kasan, 64k (pages of 64 KiB), tests (KUnit and fault injection, which
##                   the others include), dt (device tree only: a quarter smaller)
## DEBUG_INFO=y      packages with debug information

.PHONY: deps
# Sets of $(VM)/deps that a target needs beyond the others.
check check-% vmm series-build: SETS += check
run shell demo: SETS += $(filter acpi,$(MACHINE))
bench: SETS += bench
check check-x86 check-steps check-static series-build: SETS += x86
deb: SETS := deb $(if $(DEBUG_INFO),debug-info)
check-deb: SETS := deb check-deb
deps:
	@$(VM)/deps $(O) $(SETS)

.PHONY: tree export series
tree: deps
	@tools/series/import . $(O)/tree $(KSRC)
export:
	@tools/series/export $(TREE) .
# A developer's own tree is used unchanged.
TREE_READY := $(if $(filter $(O)/tree,$(TREE)),tree,deps)
series: $(TREE_READY)
	@tools/series/mail . $(TREE) $(O)/series$(addprefix -,$(PART)) $(PART)

# The previous commit of this repository: its steps were built then.
FROM ?= $(shell git rev-parse -q --verify HEAD^ 2>/dev/null)
.PHONY: series-build
series-build: $(TREE_READY)
	@tools/series/steps . $(TREE) $(O)/steps $(FROM)

.PHONY: kernel selftests run shell demo bench bench-peer
kernel: $(TREE_READY)
	@$(STEP) $(KERNEL).log "$(notdir $(KERNEL))" $(VM)/build-kernel $(TREE) $(KERNEL) $(FRAGMENTS)
selftests: $(TREE_READY)
	@$(STEP) $(SELFTESTS).log "$(notdir $(SELFTESTS))" $(VM)/build-selftests $(TREE) $(SELFTESTS)
MACHINE ?= dt
RUNVM = O=$(O) $(VM)/run --kernel $(KERNEL) --tests $(SELFTESTS)/iommu --machine $(MACHINE) $(RUN)
run: kernel selftests
	@$(RUNVM) -- $(or $(PROG),$(error which program? PROG="iommufd -l"))
shell: kernel selftests
	@$(RUNVM) --shell
demo: kernel selftests
	@$(RUNVM) -- smmuv3_demo && echo "demo: done"
PEER ?= $(patsubst %/arch/arm64/boot/Image,%,$(wildcard $(O)/kernel-peer/arch/arm64/boot/Image))
bench: selftests
	@$(VM)/check $(TREE) $(O) before plain
	@O=$(O) $(VM)/bench $(O)/bench $(SELFTESTS)/iommu series=$(prefix)kernel-plain \
		6.12=$(prefix)kernel-before $(foreach k,$(PEER),$(shell cat $(k)/include/config/kernel.release)=$(k))
bench-peer: deps
	@$(STEP) $(O)/kernel-peer.log "mainline" $(VM)/build-peer $(O)/kernel-peer

.PHONY: vmm
vmm: $(TREE_READY)
	@$(VM)/check $(TREE) $(O) plain vmm

.PHONY: deb check-deb
CONFIG ?=
DEBUG_INFO ?=
export DEBUG_INFO
deb: $(TREE_READY)
	@tools/debian/build-deb . $(TREE) $(O)/deb $(CONFIG)
check-deb: selftests
	@KSRC=$(KSRC) tools/debian/check-deb . $(TREE) $(O) $(SELFTESTS)/iommu $(CONFIG)

.PHONY: check
check: $(TREE_READY)
	@SINCE=$(FROM) $(VM)/check $(TREE) $(O)
check-%: $(TREE_READY)
	@SINCE=$(FROM) $(VM)/check $(TREE) $(O) $*

.PHONY: clean
clean:
	rm -rf $(O)
