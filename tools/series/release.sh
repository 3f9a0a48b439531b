# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash

# Print the release of the kernel makefile on stdin, as 6.12.117 or 7.0.0-rc1.
makefile_release() {
	awk 'NR <= 6 && $2 == "=" { v[$1] = $3 }
	     END { print v["VERSION"] "." v["PATCHLEVEL"] "." v["SUBLEVEL"] v["EXTRAVERSION"] }'
}
