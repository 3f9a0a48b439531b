# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Functions of import, export, mail and others. The repository holds new kernel files whole, and edits as patches. A
# kernel git tree holds both as one commit per entry of patches/series, on the tag "base".

# An error in a substituted command is an error, too.
set -euo pipefail
shopt -s inherit_errexit
LC_ALL=C
export LC_ALL
# The output must not depend on a user's git configuration or environment.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_NOSYSTEM=1
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
export GIT_COMMITTER_NAME=series GIT_COMMITTER_EMAIL=series@localhost

# The Debian releases whose kernel sources have to take the series.
# shellcheck disable=SC2034 # the sourcing scripts use it
DEBIAN_RELEASES=(bookworm trixie)

# The one file that has another name here.
KCONFIG_HERE=Kconfig
KCONFIG_KERNEL=drivers/iommu/Kconfig.user-domain

# shellcheck source=tools/series/release.sh
. "${BASH_SOURCE[0]%/*}/release.sh"

die() { echo "${0##*/}: $*" >&2; exit 1; }
# The series does not fit the kernel source: another release may fit.
UNFIT=3
unfit() { echo "${0##*/}: $*" >&2; exit "$UNFIT"; }

# Files of the repository that are no kernel files. Every other file is a new kernel file.
is_repo_only() { # PATH
	case $1 in
	.ci/* | .clang-format | .gitignore | LICENSE | Makefile | README.md) ;;
	patches/* | tools/debian/* | tools/series/* | tools/testing/vm/*) ;;
	*) return 1 ;;
	esac
}

to_kernel() { # PATH-IN-REPOSITORY
	if [ "$1" = "$KCONFIG_HERE" ]; then echo "$KCONFIG_KERNEL"; else echo "$1"; fi
}

to_repo() { # PATH-IN-KERNEL
	if [ "$1" = "$KCONFIG_KERNEL" ]; then echo "$KCONFIG_HERE"; else echo "$1"; fi
}

# The new kernel files that the repository $1 tracks, as paths in it.
repo_files() { # REPO
	git -C "$1" ls-files | while IFS= read -r f; do
		[ ! -e "$1/$f" ] || is_repo_only "$f" || echo "$f"
	done
}

# Lines "PATCH [GUARD]". A guard, <=RELEASE or >=RELEASE, limits a patch to the releases that need it.
series_entries() { # REPO
	[ ! -e "$1/patches/series" ] || sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$1/patches/series"
}

# In a commit message the guard is a trailer, in the repository a word in patches/series.
GUARD_TRAILER=Kernel-release

# True if RELEASE needs a patch with GUARD.
needed() { # RELEASE GUARD
	local guard='^([<>])=6\.12\.([0-9]+)$' release='^6\.12\.([0-9]+)'
	[ -n "$2" ] || return 0
	[[ $1 =~ $release ]] || die "the guard $2 is not for Linux $1: the series is for 6.12.y"
	local sublevel=${BASH_REMATCH[1]}
	[[ $2 =~ $guard ]] || die "$2 is no guard for a patch: write <=6.12.N or >=6.12.N"
	if [ "${BASH_REMATCH[1]}" = '<' ]; then
		[ "$sublevel" -le "${BASH_REMATCH[2]}" ]
	else
		[ "$sublevel" -ge "${BASH_REMATCH[2]}" ]
	fi
}

# Print the patches of REPO that RELEASE does not need, as lines "PATCH GUARD".
not_needed() { # REPO RELEASE
	local patch guard
	series_entries "$1" | while read -r patch guard; do
		needed "$2" "$guard" || echo "$patch $guard"
	done
}

# The paths named by a patch's New-file trailers.
new_files() { # PATCH
	sed -e '/^diff --git /,$d' -e '/^---$/,$d' "$1" | sed -n 's/^New-file: //p'
}

# Before 6.12.115 iommufd lacks changes that the stable tree took from later kernels and the series builds on.
oldest=${SERIES_OLDEST:-115}

check_release() { # RELEASE NAME
	[[ $1 =~ ^6\.12\.[0-9]+$ ]] ||
		unfit "$2 is Linux ${1#..}, not a 6.12.y release: point KSRC at one, or install linux-source-6.12"
	[ "${1##*.}" -ge "$oldest" ] ||
		unfit "$2 is Linux $1, older than 6.12.$oldest: make check-releases shows the releases that the series fits"
}

# Print a hash of an entry of the series. The hash changes exactly when the commit would.
entry_hash() { # REPO PATCH GUARD
	local f
	{
		echo "$3"
		cat "$1/patches/$2"
		for f in $(new_files "$1/patches/$2"); do
			f=$1/$(to_repo "$f")
			stat -c '%A' "$f"
			cat "$f"
		done
	} | sha256sum | cut -d' ' -f1
}

# Commit one patch and its new files on top of PARENT in the git directory GITDIR, without touching any work tree.
# Print the new commit's id. GIT_INDEX_FILE holds PARENT's tree.
commit_entry() { # REPO GITDIR PARENT PATCH GUARD WORKDIR
	local repo=$1 gitdir=$2 parent=$3 patch=$4 guard=$5 work=$6 f here mode id tree
	local -x GIT_DIR=$gitdir
	local -x GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_AUTHOR_DATE GIT_COMMITTER_DATE

	git mailinfo -b --encoding=UTF-8 "$work/msg" "$work/diff" <"$repo/patches/$patch" >"$work/info"
	GIT_AUTHOR_NAME=$(sed -n 's/^Author: //p' "$work/info")
	GIT_AUTHOR_EMAIL=$(sed -n 's/^Email: //p' "$work/info")
	GIT_AUTHOR_DATE=$(sed -n 's/^Date: //p' "$work/info")
	GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
	if [ -z "$GIT_AUTHOR_EMAIL" ] || [ -z "$GIT_AUTHOR_DATE" ]; then
		die "patches/$patch has no From: or no Date: line: write it with make export"
	fi

	if grep -q '^diff --git ' "$work/diff" && ! git apply --cached "$work/diff" 2>"$work/err"; then
		if git apply --cached --reverse --check "$work/diff" 2>/dev/null; then
			unfit "patches/$patch is already in the kernel source: KSRC must be an unmodified 6.12.y release"
		fi
		unfit "patches/$patch does not apply: $(head -n 1 "$work/err")." \
			"make check-releases shows the releases that the series fits, README how to carry it to another"
	fi
	for f in $(new_files "$repo/patches/$patch"); do
		here=$repo/$(to_repo "$f")
		[ -f "$here" ] || die "patches/$patch names the new file $f, but $here is not there"
		[ -z "$(git ls-files --cached -- "$f")" ] ||
			unfit "$f is already in the kernel source: KSRC must be an unmodified 6.12.y release"
		mode=100644
		[ ! -x "$here" ] || mode=100755
		id=$(git hash-object -w --no-filters "$here")
		git update-index --add --cacheinfo "$mode,$id,$f"
	done
	tree=$(git write-tree)
	[ "$tree" != "$(git rev-parse "$parent^{tree}")" ] || die "patches/$patch changes nothing"
	{
		sed -n 's/^Subject: //p' "$work/info"
		echo
		sed '/^New-file: /d' "$work/msg"
	} | git stripspace >"$work/message"
	[ -z "$guard" ] ||
		git interpret-trailers --no-divider --in-place --trailer "$GUARD_TRAILER: $guard" "$work/message"
	git commit-tree -p "$parent" -F "$work/message" "$tree"
}

# A patch that RELEASE does not need must not apply on PARENT. If the patch applies, its guard is wrong.
check_guard() { # REPO GITDIR PARENT PATCH GUARD WORKDIR
	local -x GIT_DIR=$2 GIT_INDEX_FILE=$6/guard
	git read-tree "$3"
	! git apply --cached --check "$1/patches/$4" 2>/dev/null ||
		die "patches/$4 has the guard $5, but this kernel takes the patch: correct patches/series"
}

# Print "HASH PARENT COMMIT" for each entry of the series. Reuse the lines of the file OLD up to the first change.
build_commits() { # REPO GITDIR OLD
	local repo=$1 gitdir=$2 old=$3 parent patch guard hash known work release
	work=$(mktemp -d)
	parent=$(git --git-dir="$gitdir" rev-parse "base^{commit}")
	release=$(git --git-dir="$gitdir" show "$parent:Makefile" | makefile_release)
	local -x GIT_INDEX_FILE=$work/index
	while read -r patch guard; do
		[ -f "$repo/patches/$patch" ] || die "patches/series names $patch, but there is no such file in patches/"
		if ! needed "$release" "$guard"; then
			check_guard "$repo" "$gitdir" "$parent" "$patch" "$guard" "$work"
			continue
		fi
		hash=$(entry_hash "$repo" "$patch" "$guard")
		known=$(sed -n "s/^$hash $parent //p" "$old")
		if [ -z "$known" ]; then
			[ -e "$GIT_INDEX_FILE" ] || git --git-dir="$gitdir" read-tree "$parent"
			# The caller may have turned errexit off.
			known=$(commit_entry "$repo" "$gitdir" "$parent" "$patch" "$guard" "$work") || exit
		fi
		echo "$hash $parent $known"
		parent=$known
	done < <(series_entries "$repo")
	rm -rf "$work"
}

# Print the ids of base..REV, oldest first. Refuse commits that can't be a series.
commits() { # TREE REV
	git -C "$1" rev-parse -q --verify 'base^{commit}' >/dev/null ||
		die "$1 has no tag 'base' where the series starts: git -C $1 tag base <commit>"
	git -C "$1" merge-base --is-ancestor base "$2" ||
		die "$2 in $1 is not based on its tag 'base': rebase it"
	[ -z "$(git -C "$1" rev-list --merges "base..$2")" ] ||
		die "base..$2 in $1 has merges: make it linear with git rebase"
	git -C "$1" rev-list --reverse "base..$2"
}

require_clean() { # TREE
	[ -z "$(git -C "$1" status --porcelain | sed -n 1p)" ] ||
		die "$1 has changes that are not committed: commit or remove them (git -C $1 status)"
}

# Run format-patch with every option set here, so that the output does not depend on git's version or configuration.
format_patch() { # TREE ARGUMENT ...
	local tree=$1
	shift
	git -C "$tree" -c core.quotePath=false -c format.noprefix=false \
		format-patch -q --zero-commit --no-signature --full-index --no-attach --no-thread \
		--no-renames --diff-algorithm=myers --indent-heuristic -U3 --no-ext-diff \
		--no-textconv --src-prefix=a/ --dst-prefix=b/ --no-encode-email-headers "$@"
}
