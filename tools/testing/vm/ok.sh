# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# TAP for the .t files in tools/, for other checks, and for scripts in a VM. The caller has a folder $work. The plan is
# 1..$number.
number=0

ok() { # TITLE COMMAND ...
	local title=$1
	shift
	number=$((number + 1))
	# shellcheck disable=SC2154 # the caller sets work
	if "$@" >"$work/said" 2>&1; then
		echo "ok $number - $title"
	else
		echo "not ok $number - $title"
		why_not_ok | sed 's/^/# /'
	fi
}

# A script with more output replaces this function.
why_not_ok() { cat "$work/said"; }
# For scripts whose TAP is rarely read.
why_on_stderr_too() {
	printf '%s: %s\n' "${0##*/}" "$title" >&2
	head -n 20 "$work/said" >&2
	cat "$work/said"
}
