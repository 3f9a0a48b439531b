#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test.t TREE
#
# TAP: versions of the packages sort between Debian's, and a config without support for nesting is refused. TREE is the
# tree of the series.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tools/debian/lib.sh
. "$here/lib.sh"
set +e
tree=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tools/testing/vm/ok.sh
. "$here/../testing/vm/ok.sh"

# The versions of the tree, and the releases before and after it.
release=$(makefile_release <"$tree/Makefile")
next=${release%.*}.$((${release##*.} + 1))
before=${release%.*}.$((${release##*.} - 1))
ours=$(package_version "$release" 1.347)
older() { dpkg --compare-versions "$1" lt "$2"; }
for suffix in 1 1~deb12u1 1~bpo12+1 1+b1 2 10 1+deb13u1; do
	ok "Debian's $release-$suffix is older than $ours" older "$release-$suffix" "$ours"
done
for suffix in 1 1~deb12u1 1~bpo12+1 1+b1; do
	ok "Debian's $next-$suffix is newer than $ours" older "$ours" "$next-$suffix"
done
ok "the next commit of the series is newer" older "$ours" "$(package_version "$release" 1.348)"
ok "...and so is the one with more digits" older "$(package_version "$release" 1.999)" "$(package_version "$release" 1.1000)"
ok "the next release of the series is newer" older "$ours" "$(package_version "$release" 2.348)"
ok "...on the next release of Linux, too" older "$(package_version "$release" 2.348)" "$(package_version "$next" 1.347)"
ok "without history it is the oldest of its release" older "$(package_version "$release" 1)" "$(package_version "$release" 1.1)"
ok "the version of this repository is one for dpkg" dpkg --validate-version \
	"$(package_version "$release" "$(series_version "$here/../..")")"

# Kernel names. GRUB (sort -V) puts the newest first.
newest() { printf 'vmlinuz-%s\n' "$@" | sort -rV | sed -n 's/^vmlinuz-//;1p'; }
name=$release$(local_version arm64)
ok "GRUB boots $name rather than Debian's of that release" test "$(newest "$name" "$release+deb13-arm64" "$release-arm64")" = "$name"
ok "...and Debian's next release rather than it" test "$(newest "$name" "$next+deb13-arm64" "$before+deb13-arm64")" = "$next+deb13-arm64"
ok "the name has no + of a git tree" test "${name#*+}" = "$name"

# Configs.
config() { # LINE ...: a made-up config
	printf '%s\n' CONFIG_ARM64=y CONFIG_PCI=y CONFIG_PCI_MSI=y CONFIG_MODULES=y CONFIG_IOMMU_SUPPORT=y \
		CONFIG_ARM_SMMU_V3=y CONFIG_VFIO=m CONFIG_VFIO_PCI=m "$@" >"$work/config"
	rm -f "$work/out/.config"
	status=0
	"$here/kernel-config" "$tree" "$work/out" "$work/config" >"$work/output" 2>"$work/errors" || status=$?
}
works() { [ $status = 0 ]; }
names() { [ $status = 1 ] && grep -q "^    $1: " "$work/errors" && [ "$(grep -c '^    ' "$work/errors")" = 1 ]; }
result() { grep -x "$1" "$work/out/.config"; }
why_not_ok() { cat "$work/said" "$work/errors" 2>/dev/null; }
config
ok "a small config: success" works
for line in CONFIG_IOMMUFD=m CONFIG_VFIO_DEVICE_CDEV=y CONFIG_ARM_SMMU_V3_IOMMUFD=y CONFIG_ARM_SMMU_V3_SVA=y \
	'CONFIG_LOCALVERSION="-iommufd1-local"'; do
	ok "...with $line" result "$line"
done
DEBUG_INFO=y config CONFIG_DEBUG_KERNEL=y CONFIG_DEBUG_INFO_DWARF5=y
ok "debug information stays where it is asked for" result CONFIG_DEBUG_INFO=y
config CONFIG_DEBUG_KERNEL=y CONFIG_DEBUG_INFO_DWARF5=y
ok "...and goes where it is not" result CONFIG_DEBUG_INFO_NONE=y
config '# CONFIG_VFIO_PCI is not set'
ok "a config without vfio-pci is refused by that name" names CONFIG_VFIO_PCI
config '# CONFIG_ARM_SMMU_V3 is not set'
ok "...and one without the SMMU's driver" grep -q '^    CONFIG_ARM_SMMU_V3: ' "$work/errors"
config CONFIG_MODULE_SIG=y CONFIG_MODULE_SIG_SHA512=y
ok "signed modules without SHA-256 are refused" names CONFIG_CRYPTO_SHA256=y
config CONFIG_MODULE_SIG=y CONFIG_MODULE_SIG_SHA256=y
ok "...and with SHA-256: success" works
config CONFIG_KUNIT=y
ok "KUnit is turned off" result '# CONFIG_KUNIT is not set'
echo CONFIG_X86=y >"$work/config"
"$here/kernel-config" "$tree" "$work/out" "$work/config" >"$work/output" 2>"$work/errors"
ok "a config of another processor is refused" grep -q 'is not for arm64' "$work/errors"
"$here/kernel-config" "$tree" "$work/out" "$work/none" >"$work/output" 2>"$work/errors"
ok "a file that is not there is said to be missing" grep -q "CONFIG=$work/none does not exist" "$work/errors"
echo "1..$number"
