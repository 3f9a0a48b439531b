# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The environment of a kernel build on this machine.

# Print this machine's architecture by its name in the kernel's makefiles.
host_arch() {
	case $(uname -m) in
	aarch64) echo arm64 ;;
	x86_64) echo x86 ;;
	*) uname -m ;;
	esac
}

# Set ARCH and CROSS_COMPILE for make. The default ARCH is arm64. CROSS_COMPILE is empty for a native build; a value
# from the environment applies to arm64 only.
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

# The kernel's make, with the compiler cache. Call set_arch first.
kernel_make() { # TREE OUT ARGUMENT ...
	local tree=$1 out=$2
	shift 2
	make -C "$tree" O="$out" CC="ccache ${CROSS_COMPILE}gcc" "$@"
}

# Make the build reproducible, and its compiler commands independent of the checkout's path. The compiler cache then
# serves all folders with the same config.
set_build() { # TREE TIMESTAMP
	export KBUILD_BUILD_TIMESTAMP=$2 KBUILD_BUILD_USER=user KBUILD_BUILD_HOST=host
	export CCACHE_BASEDIR="${1%/*}" CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-5G}
	# On a cache miss this skips the preprocessor, a quarter of the time.
	export CCACHE_DEPEND=1
}
