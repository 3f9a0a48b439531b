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
ifeq ($(TREE),$(O)/tree)
# One folder per flavour.
KERNEL = $(O)/kernel$(if $(strip $(DEBUG)),-$(subst $(space),-,$(strip $(DEBUG))))
else
KERNEL = $(O)/$(notdir $(TREE))-kernel$(if $(strip $(DEBUG)),-$(subst $(space),-,$(strip $(DEBUG))))
endif
space := $(subst ,, )

VM := tools/testing/vm
fragments = $(addprefix $(VM)/configs/,arm64.config \
	$(if $(wildcard $(1)/drivers/iommu/Kconfig.user-domain),series.config) \
	$(if $(strip $(2)),tests.config $(patsubst %,%.config,$(filter-out tests,$(2)))))
STEP := $(VM)/step

.PHONY: help
help:
	@sed -n 's/^##  \{0,1\}//p' Makefile

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
	@$(STEP) $(KERNEL).log "kernel$(if $(DEBUG), with $(DEBUG))" $(VM)/build-kernel $(TREE) $(KERNEL) $(call fragments,$(TREE),$(DEBUG))
