# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# TAP for the .t files here and in tools/series and for what runs in the VM; they have a folder $work. The plan is
# 1..$number.
number=0

ok() { # TITLE COMMAND ...
	local title=$1
	shift
	number=$((number + 1))
	# shellcheck disable=SC2154 # the caller's
	if "$@" >"$work/said" 2>&1; then
		echo "ok $number - $title"
	else
		echo "not ok $number - $title"
		why_not_ok | sed 's/^/# /'
	fi
}

# For a .t file that knows more to replace.
why_not_ok() { cat "$work/said"; }
