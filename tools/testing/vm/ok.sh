# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# TAP for the .t files in tools/ and for scripts in a VM, which have a folder $work. The plan is 1..$number.
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

# A .t file with more to show replaces this function.
why_not_ok() { cat "$work/said"; }
