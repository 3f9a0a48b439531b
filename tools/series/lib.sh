# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Functions of import, export, mail and others. The repository holds new kernel files whole, and edits as patches. A
# kernel git tree has both as one commit per entry of patches/series, on top of the tag "base". The last commit that
# changes a new file takes it from the repository, by the trailer New-file. Earlier states of that file are in patches.

# Errors in command substitutions are errors, too.
set -euo pipefail
shopt -s inherit_errexit
LC_ALL=C
export LC_ALL
# The output must not depend on a user's git configuration or environment.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_NOSYSTEM=1
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
export GIT_COMMITTER_NAME=series GIT_COMMITTER_EMAIL=series@localhost
export GIT_AUTHOR_NAME=series GIT_AUTHOR_EMAIL=series@localhost

# The Debian releases whose kernel sources the series must fit.
# shellcheck disable=SC2034 # the sourcing scripts use it
DEBIAN_RELEASES=(bookworm trixie)

# The only file with another name here.
KCONFIG_HERE=Kconfig
KCONFIG_KERNEL=drivers/iommu/Kconfig.user-domain

# shellcheck source=tools/series/release.sh
. "${BASH_SOURCE[0]%/*}/release.sh"

die() { echo "${0##*/}: $*" >&2; exit 1; }
# The series does not fit the kernel source, but it may fit another release.
UNFIT=3
unfit() { echo "${0##*/}: $*" >&2; exit "$UNFIT"; }

# Files of the repository that are not kernel files. All others are new kernel files.
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

# In a commit message the guard is a trailer, in patches/series a word.
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

# In patches/series a comment begins a part of the series. In a commit message the part is a trailer.
PART_TRAILER=Series-part

# The parts of the series in their order, as lines "PART PATCH", with "-" before the first part.
series_parts() { # REPO
	[ ! -e "$1/patches/series" ] || awk '
		BEGIN { part = "-" }
		/^# part / { part = $3 }
		!/^#/ && NF { print part, $1 }' "$1/patches/series"
}

# Print the patches of REPO that RELEASE does not need, as lines "PATCH GUARD".
not_needed() { # REPO RELEASE
	local patch guard
	series_entries "$1" | while read -r patch guard; do
		needed "$2" "$guard" || echo "$patch $guard"
	done
}

# The paths named by a patch's New-file trailers: the patch is the last one that changes these files.
new_files() { # PATCH
	sed -e '/^diff --git /,$d' -e '/^---$/,$d' "$1" | sed -n 's/^New-file: //p'
}

# Before 6.12.115 iommufd lacks changes from later kernels that the series needs; the stable tree has them since.
oldest=${SERIES_OLDEST:-115}

check_release() { # RELEASE NAME
	[[ $1 =~ ^6\.12\.[0-9]+$ ]] ||
		unfit "$2 is Linux ${1#..}, not a 6.12.y release: point KSRC at one, or install linux-source-6.12"
	[ "${1##*.}" -ge "$oldest" ] ||
		unfit "$2 is Linux $1, older than 6.12.$oldest: make check-releases shows the releases that the series fits"
}

# Print a hash of an entry of the series, which changes exactly when its commit would.
entry_hash() { # REPO PATCH GUARD PART
	local added=() f
	for f in $(new_files "$1/patches/$2"); do
		added+=("$1/$(to_repo "$f")")
	done
	{
		echo "$3 $4"
		[ ${#added[@]} -eq 0 ] || stat -c '%A %s' "${added[@]}"
		cat "$1/patches/$2" ${added[@]+"${added[@]}"}
	} | sha256sum | cut -d' ' -f1
}

# The files that a patch edits.
edited_files() { # DIFF
	! grep -q '^diff --git ' "$1" || git apply --numstat "$1" | cut -f3
}

# Print one patch and its new files as a commit for git fast-import, on top of PARENT. WORKDIR/files has the files that
# earlier patches changed, in their current state. All other files are as in the commit START.
print_commit() { # REPO GITDIR START PATCH GUARD PART WORKDIR PARENT
	local repo=$1 start=$3 patch=$4 guard=$5 part=$6 work=$7 parent=$8 files=$7/files f here mode id
	local -x GIT_DIR=$2 GIT_WORK_TREE=$7/files
	local -A info=() seen=()
	local edited=() added=() changed=() unread=() kept=()

	git mailinfo -b --encoding=UTF-8 "$work/msg" "$work/diff" <"$repo/patches/$patch" >"$work/info"
	while IFS= read -r f; do
		[ -z "$f" ] || info[${f%%: *}]=${f#*: }
	done <"$work/info"
	if [ -z "${info[Email]:-}" ] || [ -z "${info[Date]:-}" ]; then
		die "patches/$patch has no From: or no Date: line: write it with make export"
	fi

	edited_files "$work/diff" >"$work/edited" 2>"$work/err" || die "patches/$patch: $(head -n 1 "$work/err")"
	mapfile -t edited <"$work/edited"
	mapfile -t added < <(new_files "$repo/patches/$patch")
	changed=(${edited[@]+"${edited[@]}"} ${added[@]+"${added[@]}"})
	[ ${#changed[@]} -gt 0 ] || die "patches/$patch changes nothing"
	while IFS= read -r f; do
		seen[$f]=y
	done <"$work/seen"
	printf '%s\n' "${changed[@]}" >>"$work/seen"
	for f in "${changed[@]}"; do
		[ -n "${seen[$f]:-}" ] || unread+=("$f")
	done
	[ ${#unread[@]} -eq 0 ] || git ls-tree -r --full-tree "$start" -- "${unread[@]}" | while read -r mode _ id f; do
		[[ $mode = 100644 || $mode = 100755 ]] || die "patches/$patch changes $f, which is no regular file"
		[[ $f != */* ]] || mkdir -p "$files/${f%/*}"
		git cat-file blob "$id" >"$files/$f"
		chmod "${mode#100}" "$files/$f"
	done

	if [ ${#edited[@]} -gt 0 ] && ! (cd "$files" && git apply "$work/diff") 2>"$work/err"; then
		if (cd "$files" && git apply --reverse --check "$work/diff") 2>/dev/null; then
			unfit "patches/$patch is already in the kernel source: KSRC must be an unmodified 6.12.y release"
		fi
		unfit "patches/$patch does not apply: $(head -n 1 "$work/err")." \
			"make check-releases shows the releases that the series fits, README how to carry it to another"
	fi
	for f in ${added[@]+"${added[@]}"}; do
		here=$repo/$(to_repo "$f")
		[ -f "$here" ] || die "patches/$patch names the new file $f, but $here is not there"
		! git cat-file -e "base:$f" 2>/dev/null ||
			unfit "$f is already in the kernel source: KSRC must be an unmodified 6.12.y release"
		[[ $f != */* ]] || mkdir -p "$files/${f%/*}"
		cp "$here" "$files/$f"
	done
	{
		echo "${info[Subject]}"
		echo
		sed '/^New-file: /d' "$work/msg"
	} | git stripspace >"$work/message"
	[ -z "$guard" ] ||
		git interpret-trailers --no-divider --in-place --trailer "$GUARD_TRAILER: $guard" "$work/message"
	[ "$part" = - ] ||
		git interpret-trailers --no-divider --in-place --trailer "$PART_TRAILER: $part" "$work/message"

	cat <<-END
		author ${info[Author]} <${info[Email]}> ${info[Date]}
		committer $GIT_COMMITTER_NAME <$GIT_COMMITTER_EMAIL> ${info[Date]}
		data <<End of the message
		$(cat "$work/message")
		End of the message
		from $parent
	END
	for f in "${changed[@]}"; do
		if [ -e "$files/$f" ]; then
			kept+=("$f")
		else
			echo "D $f"
		fi
	done
	[ ${#kept[@]} -eq 0 ] || (cd "$files" && printf '%s\n' "${kept[@]}" |
		git hash-object -w --no-filters --stdin-paths) | for f in "${kept[@]}"; do
		mode=100644
		[ ! -x "$files/$f" ] || mode=100755
		read -r id
		echo "M $mode $id $f"
	done
	echo
}

# A patch that RELEASE does not need must not apply on PARENT; otherwise its guard is wrong.
check_guard() { # REPO GITDIR PARENT PATCH GUARD WORKDIR
	local -x GIT_DIR=$2 GIT_INDEX_FILE=$6/guard
	git read-tree "$3"
	! git apply --cached --check "$1/patches/$4" 2>/dev/null ||
		die "patches/$4 has the guard $5, but this kernel takes the patch: correct patches/series"
}

# Print "HASH PARENT COMMIT" for each entry of the series. Reuse the lines of the file OLD up to the first change. Make
# all further commits in one run, without a work tree.
build_commits() { # REPO GITDIR OLD
	local repo=$1 gitdir=$2 old=$3 ref=refs/series/import
	local start parent patch guard part hash known work release status=0 i entry
	local hashes=() commits=() skipped=()
	local -A parts=()
	work=$(mktemp -d)
	mkdir "$work/files"
	: >"$work/marks"
	: >"$work/seen"
	start=$(git --git-dir="$gitdir" rev-parse "base^{commit}")
	release=$(git --git-dir="$gitdir" show "$start:Makefile" | makefile_release)
	commits=("$start")
	while read -r part patch; do
		parts[$patch]=$part
	done < <(series_parts "$repo")
	while read -r patch guard; do
		[ -f "$repo/patches/$patch" ] || die "patches/series names $patch, but there is no such file in patches/"
		i=${#hashes[@]}
		if ! needed "$release" "$guard"; then
			skipped+=("$i $patch $guard")
			continue
		fi
		part=${parts[$patch]}
		hash=$(entry_hash "$repo" "$patch" "$guard" "$part")
		known=
		[ -e "$work/stream" ] || known=$(sed -n "s/^$hash ${commits[i]} //p" "$old")
		if [ -n "$known" ]; then
			start=$known
		else
			parent=:$i
			[ -e "$work/stream" ] || parent=$start
			# A shell of its own, as the caller may have turned errexit off.
			# shellcheck disable=SC2016 # that shell expands it
			bash -c '. "$1"; shift; print_commit "$@"' "$0" "${BASH_SOURCE[0]}" "$repo" "$gitdir" "$start" \
				"$patch" "$guard" "$part" "$work" "$parent" >"$work/commit" || status=$?
			[ "$status" -eq 0 ] || break
			{
				echo "commit $ref"
				echo "mark :$((i + 1))"
				cat "$work/commit"
			} >>"$work/stream"
		fi
		hashes+=("$hash")
		commits+=("$known")
	done < <(series_entries "$repo")
	if [ -e "$work/stream" ]; then
		# Leave no branch behind.
		printf 'reset %s\n\n' "$ref" >>"$work/stream"
		git --git-dir="$gitdir" fast-import --quiet --date-format=rfc2822 --export-marks="$work/marks" <"$work/stream" ||
			exit
		while IFS=': ' read -r _ i known; do
			commits[i]=$known
		done <"$work/marks"
	fi
	for i in "${!hashes[@]}"; do
		echo "${hashes[i]} ${commits[i]} ${commits[i + 1]}"
	done
	[ "$status" -eq 0 ] || { rm -rf "$work"; exit "$status"; }
	for entry in ${skipped[@]+"${skipped[@]}"}; do
		read -r i patch guard <<<"$entry"
		check_guard "$repo" "$gitdir" "${commits[i]}" "$patch" "$guard" "$work"
	done
	rm -rf "$work"
}

# Print the ids of base..REV, oldest first. Refuse commits that are not a valid series.
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

# Run format-patch with every option set here, so that its output does not depend on git's version or configuration.
format_patch() { # TREE ARGUMENT ...
	local tree=$1
	shift
	git -C "$tree" -c core.quotePath=false -c format.noprefix=false \
		format-patch -q --zero-commit --no-signature --full-index --no-attach --no-thread \
		--no-renames --diff-algorithm=myers --indent-heuristic -U3 --no-ext-diff \
		--no-textconv --src-prefix=a/ --dst-prefix=b/ --no-encode-email-headers "$@"
}
