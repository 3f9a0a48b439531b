# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Which machine this is, and which compiler makes kernels for ARCH here. A native build has no prefix.

# This machine as the kernel's makefiles name it.
host_arch() {
	case $(uname -m) in
	aarch64) echo arm64 ;;
	x86_64) echo x86 ;;
	*) uname -m ;;
	esac
}

# For make: ARCH, arm64 where the environment has none, and CROSS_COMPILE. The environment's CROSS_COMPILE is arm64's.
set_arch() {
	export ARCH=${ARCH:-arm64}
	case $ARCH in
	arm64) [ -n "${CROSS_COMPILE+set}" ] || CROSS_COMPILE=aarch64-linux-gnu- ;;
	x86) CROSS_COMPILE=x86_64-linux-gnu- ;;
	*) echo "${0##*/}: ARCH is arm64 or x86, not $ARCH" >&2; exit 1 ;;
	esac
	[ "$ARCH" != "$(host_arch)" ] || CROSS_COMPILE=
	export CROSS_COMPILE
}
