# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Names and versions of the packages.

set -euo pipefail
shopt -s inherit_errexit

# shellcheck source=tools/series/release.sh
. "${BASH_SOURCE[0]%/*}/../series/release.sh"

die() { echo "${0##*/}: $*" >&2; exit 1; }

# The release of the series. A new release gives the kernel a new name, so apt keeps the old kernel installed.
series=1

# Compiler of the 32-bit vDSO. Kconfig tests this variable, too.
export CROSS_COMPILE_COMPAT=arm-linux-gnueabihf-

# UEFI of the test machine.
firmware=/usr/share/AAVMF
check_firmware() {
	local file
	for file in AAVMF_CODE.fd AAVMF_VARS.fd; do
		[ -f "$firmware/$file" ] || die "$firmware/$file is not there: make deps SETS=check-deb"
	done
}

# CONFIG_LOCALVERSION: uname -r is 6.12.117-iommufd1-arm64, which linux-version and GRUB sort after Debian's
# 6.12.117+deb13-arm64 and before its 6.12.118+deb13-arm64.
local_version() { # FLAVOUR
	echo "-iommufd$series-$1"
}

# The version of the series in REPO, such as 1.347: each commit adds one to the second number. A shallow clone gives 1.
series_version() { # REPO
	if [ "$(git -C "$1" rev-parse --is-shallow-repository 2>/dev/null)" = false ]; then
		echo "$series.$(git -C "$1" rev-list --count HEAD)"
	else
		echo $series
	fi
}

# "+iommufdN" belongs to the upstream version: it sorts after every Debian revision of this release, and before the
# next release.
package_version() { # RELEASE SERIES-VERSION
	echo "$1+iommufd$2-1"
}
