# SPDX-License-Identifier: GPL-2.0
# The one entry point: make help lists every target.

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.SUFFIXES:
.DEFAULT_GOAL := help

# Where everything that is built goes.
O ?= build
override O := $(abspath $(O))
# The kernel git tree to work on: the one made here, or a developer's own.
TREE ?= $(O)/tree
override TREE := $(abspath $(TREE))
# The kernel source for make tree: a directory, a tarball or a git clone; the package without it.
KSRC ?=
# Debug fragments of the kernel config: debug, kasan, tests; several are fine.
DEBUG ?=
empty :=
space := $(empty) $(empty)
# One folder per flavour, and apart from each other what comes from another tree.
prefix = $(O)/$(if $(filter $(O)/tree,$(TREE)),,$(notdir $(TREE))-)
KERNEL = $(prefix)kernel$(if $(strip $(DEBUG)),-$(subst $(space),-,$(strip $(DEBUG))))
SELFTESTS = $(prefix)selftests

VM := tools/testing/vm
fragments = $(addprefix $(VM)/configs/,arm64.config \
	$(if $(wildcard $(1)/drivers/iommu/Kconfig.user-domain),series.config) \
	$(if $(strip $(2)),tests.config $(patsubst %,%.config,$(filter-out tests,$(2)))))
KERNEL_TITLE = kernel $(notdir $(KERNEL))
STEP := $(VM)/step

.PHONY: help
help:
	@sed -n 's/^## \{0,1\}//p' Makefile

## make tree             the kernel as a git tree in build/tree, one commit per patch
## make export           write the commits of that tree back as patches/ and new files
## make series           the series as mails for git am, in build/series
.PHONY: tree export series
tree:
	@tools/series/import . $(TREE) $(KSRC)
export:
	@tools/series/export $(TREE) .
series:
	@tools/series/mail $(TREE) $(O)/series patches/cover-letter

# A tree of somebody's own is used as it is.
ifeq ($(TREE),$(O)/tree)
TREE_DEP := tree
endif

## make kernel           the arm64 kernel for the test VM, in build/kernel
## make kernel DEBUG=... the same with debug fragments: any of debug, kasan, tests
.PHONY: kernel
kernel: $(TREE_DEP)
	@$(STEP) $(KERNEL).log "$(KERNEL_TITLE)" $(VM)/build-kernel $(TREE) $(KERNEL) $(call fragments,$(TREE),$(DEBUG))

## make selftests        the iommu selftests of that tree, static for the VM, in build/selftests
.PHONY: selftests
selftests: $(TREE_DEP)
	@$(STEP) $(SELFTESTS).log "selftests" $(VM)/build-selftests $(TREE) $(SELFTESTS)

## make run PROG="..."   boot that kernel and run a program of the selftests in it; MACHINE=dt, acpi
##                       or plain, RUN="..." for further options of tools/testing/vm/run
## make shell            boot that kernel with a shell on the console
MACHINE ?= dt
RUNVM = O=$(O) $(VM)/run --kernel $(KERNEL) --tests $(SELFTESTS)/iommu --machine $(MACHINE) $(RUN)
.PHONY: run shell
run: kernel selftests
	@$(RUNVM) -- $(or $(PROG),$(error which program? PROG="iommufd"))
shell: kernel selftests
	@$(RUNVM) --shell
