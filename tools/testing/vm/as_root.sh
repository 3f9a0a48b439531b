# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash

as_root() { # COMMAND ...
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}
