# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What import, export and mail share. The repository holds new kernel files whole and edits as
# patches; a kernel git tree holds both as one commit per entry of patches/series, on the tag "base".

# An error in a substituted command is an error, too.
set -euo pipefail
shopt -s inherit_errexit
LC_ALL=C
export LC_ALL
# Nobody's git configuration or environment may change what is written.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_NOSYSTEM=1
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
export GIT_COMMITTER_NAME=series GIT_COMMITTER_EMAIL=series@localhost

# The one file that has another name here.
KCONFIG_HERE=Kconfig
KCONFIG_KERNEL=drivers/iommu/Kconfig.user-domain

die() { echo "${0##*/}: $*" >&2; exit 1; }

# Files of the repository that are no kernel files. Everything else in it is a new kernel file.
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

series_entries() { # REPO
	[ ! -e "$1/patches/series" ] || sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$1/patches/series"
}

# The paths named by a patch's New-file trailers.
new_files() { # PATCH
	sed -e '/^diff --git /,$d' -e '/^---$/,$d' "$1" | sed -n 's/^New-file: //p'
}

# The release that a kernel Makefile on stdin says, as 6.12.117 or 7.0.0-rc1.
makefile_release() {
	awk 'NR <= 6 && $2 == "=" { v[$1] = $3 }
	     END { print v["VERSION"] "." v["PATCHLEVEL"] "." v["SUBLEVEL"] v["EXTRAVERSION"] }'
}

# Before 6.12.113 iommufd lacks what the stable tree took from later kernels and the series builds on.
oldest=${SERIES_OLDEST:-113}

check_release() { # RELEASE NAME
	[[ $1 =~ ^6\.12\.[0-9]+$ ]] ||
		die "$2 is Linux ${1#..}, not a 6.12.y release: point KSRC at one, or install linux-source-6.12"
	[ "${1##*.}" -ge "$oldest" ] ||
		die "$2 is Linux $1, older than 6.12.$oldest: install linux-source-6.12 from the security suite, or set KSRC"
}

# What one entry of the series is made of: changes exactly when the commit would.
entry_hash() { # REPO PATCH
	local f
	{
		cat "$1/patches/$2"
		for f in $(new_files "$1/patches/$2"); do
			f=$1/$(to_repo "$f")
			stat -c '%A' "$f"
			cat "$f"
		done
	} | sha256sum | cut -d' ' -f1
}

# Commit one patch and its new files on top of PARENT in the git directory GITDIR, without touching
# any work tree; the new commit's id goes to stdout. GIT_INDEX_FILE holds PARENT's tree.
commit_entry() { # REPO GITDIR PARENT PATCH WORKDIR
	local repo=$1 gitdir=$2 parent=$3 patch=$4 work=$5 f here mode id tree
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
			die "patches/$patch is already in the kernel source: KSRC must be an unmodified 6.12.y release"
		fi
		die "patches/$patch does not apply: $(head -n 1 "$work/err")"
	fi
	for f in $(new_files "$repo/patches/$patch"); do
		here=$repo/$(to_repo "$f")
		[ -f "$here" ] || die "patches/$patch names the new file $f, but $here is not there"
		[ -z "$(git ls-files --cached -- "$f")" ] ||
			die "$f is already in the kernel source: KSRC must be an unmodified 6.12.y release"
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
	git commit-tree -p "$parent" -F "$work/message" "$tree"
}

# Print "HASH PARENT COMMIT" for each entry of the series, reusing what the file OLD already has up to
# the first change.
build_commits() { # REPO GITDIR OLD
	local repo=$1 gitdir=$2 old=$3 parent patch hash known work
	work=$(mktemp -d)
	parent=$(git --git-dir="$gitdir" rev-parse "base^{commit}")
	local -x GIT_INDEX_FILE=$work/index
	while IFS= read -r patch; do
		[ -f "$repo/patches/$patch" ] || die "patches/series names $patch, but there is no such file in patches/"
		hash=$(entry_hash "$repo" "$patch")
		known=$(sed -n "s/^$hash $parent //p" "$old")
		if [ -z "$known" ]; then
			[ -e "$GIT_INDEX_FILE" ] || git --git-dir="$gitdir" read-tree "$parent"
			known=$(commit_entry "$repo" "$gitdir" "$parent" "$patch" "$work")
		fi
		echo "$hash $parent $known"
		parent=$known
	done < <(series_entries "$repo")
	rm -rf "$work"
}

# The ids of base..REV, oldest first; refuses what can't be a series.
commits() { # TREE REV
	git -C "$1" rev-parse -q --verify 'base^{commit}' >/dev/null ||
		die "$1 has no tag 'base' that says where the series starts: git -C $1 tag base <commit>"
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

# format-patch with every choice made here, so that no version or configuration of git shows.
format_patch() { # TREE ARGUMENT ...
	local tree=$1
	shift
	git -C "$tree" -c core.quotePath=false -c format.noprefix=false \
		format-patch -q --zero-commit --no-signature --full-index --no-attach --no-thread \
		--no-renames --diff-algorithm=myers --indent-heuristic -U3 --no-ext-diff \
		--no-textconv --src-prefix=a/ --dst-prefix=b/ --no-encode-email-headers "$@"
}
