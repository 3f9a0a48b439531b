#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# TAP: test import, export and mail on a made-up kernel of a few files and a series of four commits. With
# REAL_TREE=TREE test them also on the real series in the kernel git tree TREE.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repo_top=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME='Ünï "Q" Author' GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org
unset SERIES_PACKAGE
# shellcheck source=tools/testing/vm/ok.sh
. "$repo_top/tools/testing/vm/ok.sh"

# COMMAND fails with TEXT in one line, and leaves DIR as it was.
refuses() { # DIR TEXT COMMAND ...
	local dir=$1 text=$2 before after said
	shift 2
	before=$(fingerprint "$dir")
	if said=$("$@" 2>&1 >/dev/null); then
		echo "it succeeded"
		return 1
	fi
	after=$(fingerprint "$dir")
	echo "said: $said"
	[[ $said == *"$text"* ]] && [ "$(wc -l <<<"$said")" -eq 1 ] && [ "$before" = "$after" ]
}

fingerprint() { # DIR: names, times and contents, and the commit of HEAD
	[ -e "$1" ] || { echo none; return; }
	(cd "$1" && find . -path ./.git -prune -o -type f -printf '%p %m %T@ ' -exec cksum {} \; | sort)
	git -C "$1" rev-parse HEAD 2>/dev/null
}

same_files() { diff -r --exclude=.git "$1" "$2"; }

tree_of() { git -C "$1" rev-parse 'HEAD^{tree}'; }

# The made-up kernels are 6.12.7, except in tests of releases.
export SERIES_OLDEST=7

release() { # SUBLEVEL
	printf 'VERSION = 6\nPATCHLEVEL = %s\nSUBLEVEL = %s\nEXTRAVERSION =\nNAME = Test\n' "${1%.*}" "${1#*.}"
}

# The made-up kernel, as a directory, a tarball and a git clone.
ksrc=$work/linux-6.12.7
mkdir -p "$ksrc"/{drivers/iommu,include/linux}
{ echo '# SPDX-License-Identifier: GPL-2.0'; release 12.7; } >"$ksrc/Makefile"
echo 'mainmenu "x"' >"$ksrc/Kconfig"
echo '*.o' >"$ksrc/.gitignore"
seq 40 >"$ksrc/drivers/iommu/Kconfig"
seq 40 >"$ksrc/drivers/iommu/iommu.c"
seq 9 >"$ksrc/drivers/iommu/kept.o"
tar -C "$work" -cJf "$work/linux.tar.xz" linux-6.12.7
git -c init.defaultBranch=m init -q "$work/clone"
cp -r "$ksrc/." "$work/clone"
git -C "$work/clone" add -f .
git -C "$work/clone" commit -q -m kernel
git clone -q --bare "$work/clone" "$work/bare.git"

# A repository without patches, and work of a developer in the tree made from it.
mkdir "$work/repo"
git -c init.defaultBranch=m init -q "$work/repo"
import() { "$here/import" "$@"; }
ok "import without patches gives the plain kernel" import "$work/repo" "$work/tree" "$work/linux.tar.xz"
commit() { # MESSAGE
	git -C "$work/tree" add -A
	GIT_AUTHOR_DATE="2026-01-02T03:04:0$((count++))+0530" git -C "$work/tree" commit -q -m "$1"
}
count=0
mkdir -p "$work/tree/drivers/iommu/new" "$work/tree/tools/iommu"
echo 'config NEW' >"$work/tree/drivers/iommu/Kconfig.user-domain"
echo 'int first;' >"$work/tree/drivers/iommu/new/first.c"
sed -i '3i source' "$work/tree/drivers/iommu/Kconfig"
commit $'iommu: Add the first thing, naïvely\n\nWhy it is there:\n\n  - one\n  --- two\n\nSigned-off-by: A <a@example.org>'
printf '#!/bin/sh\n' >"$work/tree/tools/iommu/why"
chmod +x "$work/tree/tools/iommu/why"
commit 'tools: [RFC] A title so long that the header of a mail has to be folded, which must not change it'
sed -i '20s/.*/twenty/' "$work/tree/drivers/iommu/iommu.c"
commit $'iommu: Third\n\nNote: only\nan edit'
sed -i '30s/.*/thirty/' "$work/tree/drivers/iommu/iommu.c"
git -C "$work/tree" rm -q drivers/iommu/kept.o
commit 'iommu: Fourth'

ok "a tree with commits is not overwritten by import" \
	refuses "$work/tree" 'keep them with make export' "$here/import" "$work/repo" "$work/tree" "$work/linux.tar.xz"
ok "export" "$here/export" "$work/tree" "$work/repo"
ok "the new Kconfig is at the top" grep -q 'config NEW' "$work/repo/Kconfig"
ok "a new script keeps its mode" test -x "$work/repo/tools/iommu/why"
nowhere() { ! grep -l -e "$1" "${@:2}"; } # PATTERN FILE ...
ok "patches hold no new file" nowhere '^new file mode' "$work"/repo/patches/*
cp -r "$work/repo" "$work/first"
ok "export twice changes nothing" "$here/export" "$work/tree" "$work/repo"
ok "...and left the files alone" same_files "$work/repo" "$work/first"

for kind in linux-6.12.7 linux.tar.xz clone bare.git; do
	ok "import from $kind" import "$work/repo" "$work/tree-$kind" "$work/$kind"
	ok "import from $kind gives the developer's tree" \
		test "$(tree_of "$work/tree-$kind")" = "$(tree_of "$work/tree")"
	ok "import from $kind gives the developer's messages and authors" diff \
		<(git -C "$work/tree-$kind" log --format='%an %ae %ad %B' base..) \
		<(git -C "$work/tree" log --format='%an %ae %ad %B' base..)
done
ok "import gives the same commits each time" \
	test "$(git -C "$work/tree-clone" rev-parse HEAD)" = "$(git -C "$work/tree-bare.git" rev-parse HEAD)"
"$here/export" "$work/tree-clone" "$work/repo" >/dev/null
ok "import, then export: identity" same_files "$work/repo" "$work/first"

# Mails.
cover_letter() { # REPO
	printf '# SPDX-License-Identifier: GPL-2.0\nThe title\n\nThe text & more.\n' >"$1/patches/cover-letter"
}
cover_letter "$work/repo"
ok "mail" "$here/mail" "$work/repo" "$work/tree-clone" "$work/mails"
rm "$work/repo/patches/cover-letter"
cover=$work/mails/0000-cover-letter.patch
ok "the cover letter has the title" grep '^Subject: .* 0/4. The title' "$cover"
ok "the cover letter has the text" grep '^The text & more.$' "$cover"
ok "the cover letter has nothing else to fill in" nowhere '\*\*\*\|SPDX' "$cover"
ok "mails have no New-file trailers" nowhere '^New-file:' "$work"/mails/*
git clone -q "$work/clone" "$work/am"
ok "git am takes the mails on the plain kernel" git -C "$work/am" am -q "$work/mails"/000[1-9]*.patch
ok "git am gives the same tree" test "$(tree_of "$work/am")" = "$(tree_of "$work/tree")"

# import touches only changed files. All other files keep their time stamps.
touch -d '2020-01-01' "$work/tree-clone/drivers/iommu/new/first.c" "$work/tree-clone/drivers/iommu/iommu.c"
echo 'int changed;' >"$work/repo/drivers/iommu/new/first.c"
ok "import again after a new file changed" import "$work/repo" "$work/tree-clone" "$work/clone"
ok "the changed file is the new one" grep -q changed "$work/tree-clone/drivers/iommu/new/first.c"
ok "a file that ends up the same keeps its time" \
	test "$(stat -c %Y "$work/tree-clone/drivers/iommu/iommu.c")" = "$(date -d 2020-01-01 +%s)"
git -C "$work/repo" checkout-index -f -a 2>/dev/null
cp "$work/first/drivers/iommu/new/first.c" "$work/repo/drivers/iommu/new/first.c"

# export removes the files of a dropped commit.
git -C "$work/tree" -c sequence.editor='sed -i 2d' rebase -q -i base
ok "export after a commit was dropped" "$here/export" "$work/tree" "$work/repo"
ok "...removes its new file" test ! -e "$work/repo/tools/iommu/why"
ok "...and leaves three patches" test "$(find "$work/repo/patches" -name '*.patch' | wc -l)" -eq 3
rm -rf "$work/repo"
cp -r "$work/first" "$work/repo"

# A patch that only some releases need: 6.12.8 has the change of "Third" itself.
rm -rf "$work/tree"
import "$work/repo" "$work/tree" "$work/clone" >/dev/null
fourth=$(git -C "$work/tree" rev-parse HEAD)
git -C "$work/tree" reset -q --hard HEAD~
git -C "$work/tree" commit -q --amend --no-edit --trailer 'Kernel-release: <=6.12.7'
git -C "$work/tree" cherry-pick "$fourth" >/dev/null
ok "export of a commit with a guard" "$here/export" "$work/tree" "$work/repo"
ok "the guard is in the series" grep -qx '0003-iommu-Third.patch <=6.12.7' "$work/repo/patches/series"
ok "...and not in the patch" nowhere '^Kernel-release:' "$work"/repo/patches/*.patch
cp -r "$work/repo" "$work/guarded"
rm -rf "$work/tree"
ok "import of a patch that is needed" import "$work/repo" "$work/tree" "$work/clone"
ok "the guard is in its message" grep -qx 'Kernel-release: <=6.12.7' <(git -C "$work/tree" log -1 --format=%B HEAD~)
"$here/export" "$work/tree" "$work/repo" >/dev/null
ok "import, then export: identity, with a guard" same_files "$work/repo" "$work/guarded"
cover_letter "$work/repo"
"$here/mail" "$work/repo" "$work/tree" "$work/mails" >/dev/null
git -C "$work/am" reset -q --hard origin/m
git -C "$work/am" am -q "$work"/mails/000[1-4]*.patch
ok "git am keeps the guard" grep -qx 'Kernel-release: <=6.12.7' <(git -C "$work/am" log -1 --format=%B HEAD~)
cp -r "$ksrc" "$work/next" && { echo '# SPDX-License-Identifier: GPL-2.0'; release 12.8; } >"$work/next/Makefile"
sed -i '20s/.*/twenty/' "$work/next/drivers/iommu/iommu.c"
import "$work/repo" "$work/tree-next" "$work/next" >"$work/log"
ok "import names a patch that is not needed" grep -q '^not needed on Linux 6.12.8: 0003-iommu-Third.patch (<=6.12.7)' "$work/log"
ok "...and leaves it out" test "$(git -C "$work/tree-next" rev-list --count base..)" -eq 3
"$here/mail" "$work/repo" "$work/tree-next" "$work/mails" >/dev/null
ok "the cover letter names it" grep -q '^  iommu-Third (<=6.12.7)$' "$work/mails/0000-cover-letter.patch"
rm "$work/repo/patches/cover-letter"
env -u GIT_AUTHOR_NAME -u GIT_AUTHOR_EMAIL "$here/export" "$work/tree-next" "$work/repo" >/dev/null
ok "export from that release changes nothing" same_files "$work/repo" "$work/guarded"
git -C "$work/tree-next" reset -q --hard HEAD~
"$here/export" "$work/tree-next" "$work/repo" >/dev/null
ok "export keeps it in its place when the one behind it is dropped" \
	test "$(sed -n '$p' "$work/repo/patches/series")" = '0003-iommu-Third.patch <=6.12.7'
rm -rf "$work/repo"
cp -r "$work/guarded" "$work/repo"
git -C "$work/tree-next" reset -q --hard 'HEAD@{1}'
fourth=$(git -C "$work/tree-next" rev-parse HEAD)
git -C "$work/tree-next" reset -q --hard HEAD~
git -C "$work/tree-next" commit -q --amend -m 'tools: Another title'
git -C "$work/tree-next" cherry-pick "$fourth" >/dev/null
"$here/export" "$work/tree-next" "$work/repo" >"$work/log"
ok "export keeps it in its place when the one before it has another title" \
	test "$(grep -n 'Third' "$work/repo/patches/series")" = '7:0003-iommu-Third.patch <=6.12.7'
ok "export names a patch that is gone" grep -q '  removed patches/0002-tools-RFC' "$work/log"
rm -rf "$work/repo"
cp -r "$work/guarded" "$work/repo"
git -C "$work/tree" reset -q --hard HEAD~
git -C "$work/tree" commit -q --amend --no-edit --trailer 'Signed-off-by: B <b@example.org>'
ok "a guard may stand before other trailers" "$here/export" "$work/tree" "$work/repo"
git -C "$work/tree" commit -q --amend -m $'iommu: Third\n\nKernel-release: <=6.12.7\n\nOnly an edit.'
ok "export refuses a guard in the middle of a message" refuses "$work/repo" 'belongs to the last paragraph' \
	"$here/export" "$work/tree" "$work/repo"
git -C "$work/tree" commit -q --amend -m $'iommu: Third\n\nOnly an edit.'
echo 'int second;' >"$work/tree/drivers/iommu/new/second.c"
git -C "$work/tree" add -A
git -C "$work/tree" commit -q -m $'iommu: Fourth\n\nIt adds a file.\n\nKernel-release: <=6.12.7'
ok "export refuses a guard on new files" refuses "$work/repo" \
	'has a guard and changes the new file drivers/iommu/new/second.c' "$here/export" "$work/tree" "$work/repo"
rm -rf "$work/repo"
cp -r "$work/guarded" "$work/repo"
fresh() { rm -rf "$work/new"; "$here/import" "$work/repo" "$work/new" "$1"; }
cp -r "$ksrc" "$work/unmended" && cp "$work/next/Makefile" "$work/unmended"
ok "a guard is refused where the patch applies" refuses "$work/new" \
	'has the guard <=6.12.7, but this kernel takes the patch' fresh "$work/unmended"
sed -i 's/<=6.12.7/<7/' "$work/repo/patches/series"
ok "a guard that is none is refused" refuses "$work/new" '<7 is no guard' fresh "$work/clone"
sed -i 's/^\(0001.*\)/\1 >=6.12.7/; s/<7//' "$work/repo/patches/series"
ok "a guard on new files is refused" refuses "$work/new" 'has a guard and new files' fresh "$work/clone"
rm -rf "$work/repo" "$work/tree"
cp -r "$work/first" "$work/repo"

# Each error prints a message, and changes nothing.
cp -r "$ksrc" "$work/old" && { echo '# x'; release 6.5; } >"$work/old/Makefile"
ok "another release is refused" refuses "$work/new" 'is Linux 6.6.5, not a 6.12.y release' fresh "$work/old"
{ echo '# x'; release 12.6; } >"$work/old/Makefile"
ok "a release that is too old is refused" refuses "$work/new" 'older than 6.12.7' fresh "$work/old"
{ echo '# x'; release 12.0 | sed 's/EXTRAVERSION =/EXTRAVERSION = -rc3/'; } >"$work/old/Makefile"
ok "a release candidate is refused" refuses "$work/new" 'is Linux 6.12.0-rc3, not a 6.12.y release' fresh "$work/old"
git clone -q "$work/am" "$work/patched"
ok "a tree that has the series is refused" refuses "$work/new" \
	'is already in the kernel source: KSRC must be an unmodified' fresh "$work/patched"
git -C "$work/patched" checkout -q "$(git -C "$work/am" rev-parse HEAD~3)"
ok "a tree that has one patch of it is refused" refuses "$work/new" \
	'is already in the kernel source: KSRC must be an unmodified' fresh "$work/patched"
ok "a missing KSRC is refused" refuses "$work/new" 'does not exist' fresh "$work/nowhere"
mkdir "$work/empty"
ok "a folder that is no kernel is refused" refuses "$work/new" 'holds no kernel source' fresh "$work/empty"
cp -r "$ksrc" "$work/built" && touch "$work/built/.config"
ok "a tree with a build in it is refused" refuses "$work/new" 'make -C' fresh "$work/built"
cp -r "$ksrc" "$work/other" && sed -i '18,22d' "$work/other/drivers/iommu/iommu.c"
ok "a kernel that the series does not fit is refused" refuses "$work/new" 'does not apply' fresh "$work/other"
cp -r "$work/repo" "$work/unfit" && sed -i 's/^ 1[0-9]$/&x/' "$work"/unfit/patches/*.patch
"$here/import" "$work/repo" "$work/fits" "$work/clone" >"$work/log" 2>&1
# As steps runs it, with errexit off.
stops_there() {
	bash -c '. "$1/lib.sh"; build_commits "$2/unfit" "$2/fits/.git" /dev/null || true' - "$here" "$work" \
		>"$work/commits" 2>"$work/log"
	grep 'does not apply' "$work/log" && ! awk 'NF != 3' "$work/commits" | grep .
}
ok "...from the patch on that does not fit" stops_there
cp -r "$ksrc" "$work/fuzzy" && sed -i '19s/.*/fuzz/' "$work/fuzzy/drivers/iommu/iommu.c"
ok "fuzz is refused" refuses "$work/new" 'does not apply' fresh "$work/fuzzy"
cp -r "$ksrc" "$work/shifted" && sed -i '1i more\nlines' "$work/shifted/drivers/iommu/iommu.c"
ok "an offset is no problem" fresh "$work/shifted"
rm -rf "$work/new"
echo >"$work/repo/drivers/iommu/stray.c"
git -C "$work/repo" add drivers/iommu/stray.c
ok "a new file without a patch is refused" refuses "$work/new" 'drivers/iommu/stray.c belongs to no patch' fresh "$work/clone"
git -C "$work/repo" rm -q -f drivers/iommu/stray.c
sed -i 's/^New-file: tools.*/&\nNew-file: drivers\/iommu\/new\/first.c/' "$work"/repo/patches/0002*
ok "a new file of two patches is refused" refuses "$work/new" 'two patches name the new file' fresh "$work/clone"
cp "$work"/first/patches/0002* "$work/repo/patches"
sed -i 's/^\(@@ .* +[0-9]*,\)[0-9]* @@/\199 @@/' "$work"/repo/patches/0001*
ok "a corrupt patch is refused, also with new files" refuses "$work/new" 'corrupt patch' fresh "$work/clone"
cp "$work"/first/patches/0001* "$work/repo/patches"

rm -rf "$work/tree" && "$here/import" "$work/repo" "$work/tree" "$work/clone" >/dev/null
echo dirt >>"$work/tree/Makefile"
ok "import into a tree with changes is refused" refuses "$work/tree" 'not committed' import "$work/repo" "$work/tree" "$work/clone"
ok "export of a tree with changes is refused" refuses "$work/repo" 'not committed' "$here/export" "$work/tree" "$work/repo"
git -C "$work/tree" checkout -q .
# A new file that grows over two commits.
echo 'int second;' >>"$work/tree/drivers/iommu/new/first.c"
commit 'iommu: Change a new file'
ok "export of a commit that changes a new file" "$here/export" "$work/tree" "$work/repo"
ok "its last commit names the file" grep -q '^New-file: drivers/iommu/new/first.c' "$work/repo"/patches/0005-*
ok "the first patch has its first state" grep -q '^+int first;' "$work/repo"/patches/0001-*
ok "the repository has its last state" grep -q second "$work/repo/drivers/iommu/new/first.c"
cp -r "$work/repo" "$work/grown"
ok "import of a file that grows" fresh "$work/clone"
ok "...gives the developer's trees" diff <(git -C "$work/new" log --format=%T) <(git -C "$work/tree" log --format=%T)
"$here/export" "$work/new" "$work/repo" >/dev/null
ok "import, then export: identity, with a file that grows" same_files "$work/repo" "$work/grown"
first=$(git -C "$work/new" rev-parse HEAD~)
echo 'int third;' >>"$work/repo/drivers/iommu/new/first.c"
ok "import again after that file changed" import "$work/repo" "$work/new" "$work/clone"
ok "...changes its last commit only" test "$first" = "$(git -C "$work/new" rev-parse HEAD~)"
sed -i 's/^New-file: .*Kconfig.user-domain/&\nNew-file: drivers\/iommu\/new\/first.c/' "$work"/repo/patches/0001*
sed -i '/^New-file: .*first.c/d' "$work"/repo/patches/0005*
cat >>"$work/repo"/patches/0005* <<'EOF'
diff --git a/drivers/iommu/new/first.c b/drivers/iommu/new/first.c
--- a/drivers/iommu/new/first.c
+++ b/drivers/iommu/new/first.c
@@ -1 +1,2 @@
 int first;
+int second;
EOF
ok "a patch that changes a file behind its last state is refused" refuses "$work/other-tree" \
	'changes drivers/iommu/new/first.c, which an earlier patch has in its last state' \
	import "$work/repo" "$work/other-tree" "$work/clone"
rm -rf "$work/repo" "$work/new"
cp -r "$work/first" "$work/repo"
git -C "$work/tree" reset -q --hard HEAD~

# Parts.
git -C "$work/tree" checkout -q -b parts
in_part() { # COMMIT [PART]: on top of the tree
	git -C "$work/tree" cherry-pick "$1" >/dev/null
	git -C "$work/tree" commit -q --amend --no-edit ${2:+--trailer "Series-part: $2"}
}
mapfile -t four < <(git -C "$work/tree" rev-list --reverse base..)
git -C "$work/tree" reset -q --hard base
in_part "${four[0]}" one
in_part "${four[1]}"
in_part "${four[2]}" two
in_part "${four[3]}" local
ok "export of parts" "$here/export" "$work/tree" "$work/repo"
ok "the parts are in the series" diff <(sed -n '5,$s/^\(# part .*\|[0-9]*\)-*.*/\1/p' "$work/repo/patches/series") \
	<(printf '%s\n' '' '# part one' 0001 0002 '' '# part two' 0003 '' '# part local' 0004)
ok "...and not in the patches" nowhere '^Series-part:' "$work"/repo/patches/*.patch
cp -r "$work/repo" "$work/parts"
fresh "$work/clone" >/dev/null
ok "import writes the part of each commit" diff <(printf '%s\n' local two one one) \
	<(git -C "$work/new" log --format='%(trailers:key=Series-part,valueonly,separator=)' base..)
"$here/export" "$work/new" "$work/repo" >/dev/null
ok "import, then export: identity, with parts" same_files "$work/repo" "$work/parts"
cover_letter "$work/repo"
printf '# SPDX-License-Identifier: GPL-2.0\nThe second part\n\nOne patch.\n' >"$work/repo/patches/cover-letter.two"
ok "mail without the local part" "$here/mail" "$work/repo" "$work/new" "$work/mails"
ok "...has the patches of all others" test "$(find "$work/mails" -name '*.patch' | wc -l)" -eq 4
ok "...and the parts in the cover letter" grep -qx '  two: The second part' "$cover"
ok "mail of one part" "$here/mail" "$work/repo" "$work/new" "$work/mails" two
ok "...has its patches" test "$(basename "$work"/mails/0001-*)" = 0001-iommu-Third.patch
ok "...its title" grep '^Subject: .* 0/1. The second part' "$cover"
ok "...and the parts that it stands on" grep -q 'with the parts one\.$' "$cover"
"$here/mail" "$work/repo" "$work/new" "$work/mails" >/dev/null
printf '# SPDX-License-Identifier: GPL-2.0\nLocal\n\nA test.\n' >"$work/repo/patches/cover-letter.local"
"$here/mail" "$work/repo" "$work/new" "$work/mails-local" local >/dev/null
git -C "$work/am" tag base origin/m
git -C "$work/am" reset -q --hard base
git -C "$work/am" am -q "$work"/mails/000[1-9]*.patch "$work"/mails-local/000[1-9]*.patch
"$here/export" "$work/am" "$work/repo" >/dev/null
rm "$work"/repo/patches/cover-letter*
ok "export after git am: identity, with parts" same_files "$work/repo" "$work/parts"
ok "mails do not name a part" nowhere '^Series-part:' "$work"/mails/*.patch
cover_letter "$work/repo"
ok "a part that is not there is refused" refuses "$work/mails" 'there is no part three: one two local' \
	"$here/mail" "$work/repo" "$work/new" "$work/mails" three
rm -rf "$work/repo" "$work/new"
cp -r "$work/first" "$work/repo"
git -C "$work/tree" reset -q --hard base
in_part "${four[0]}" one
in_part "${four[1]}" two
in_part "${four[2]}" one
ok "a part in two pieces is refused" refuses "$work/repo" '"iommu: Third" belongs to the part one, which has ended' \
	"$here/export" "$work/tree" "$work/repo"
git -C "$work/tree" checkout -q -b middle "${four[3]}"
git -C "$work/tree" commit -q --allow-empty --amend -m $'iommu: Fourth\n\nSeries-part: two\n\nMore text.'
ok "export refuses a part in the middle of a message" refuses "$work/repo" 'belongs to the last paragraph' \
	"$here/export" "$work/tree" "$work/repo"
git -C "$work/tree" checkout -q -f parts
git -C "$work/tree" reset -q --hard "${four[3]}"

echo x >>"$work/tree/Kconfig"
commit 'iommu: Third'
ok "two commits with one title are refused" refuses "$work/repo" 'two commits have the title' \
	"$here/export" "$work/tree" "$work/repo"
git -C "$work/tree" reset -q --hard HEAD~
mkdir -p "$work/tree/tools/series"
echo x >"$work/tree/tools/series/x"
commit 'tools: In the way'
ok "a new file where the repository has its own is refused" refuses "$work/repo" \
	"that path is the repository's own" "$here/export" "$work/tree" "$work/repo"
git -C "$work/tree" reset -q --hard HEAD~

# A package that the series does not fit, and the served package in its place.
mkdir "$work/tools"
cp -r "$here" "$work/tools/series"
cat >"$work/tools/series/served" <<EOF
#!/bin/sh
case \$1 in
list) printf '9-1 new\n7-1 old,older\n' ;;
fetch) echo "$work/\$2.tar.xz" ;;
esac
EOF
tar -C "$work" -cJf "$work/9-1.tar.xz" other
cp "$work/linux.tar.xz" "$work/7-1.tar.xz"
installed() {
	SERIES_PACKAGE=$work/9-1.tar.xz "$work/tools/series/import" "$work/repo" "$work/instead" >"$work/log" 2>&1 ||
		{ cat "$work/log"; return 1; }
}
ok "a package that the series does not fit is replaced by one that it fits" installed
ok "...with the command that installs it" grep -q '^taking linux-source-6.12 7-1 of old, older: KSRC=.*, or apt-get install linux-source-6.12=7-1' "$work/log"
ok "...and the reason for each that was passed over" grep -q '9-1 of new: 0003-iommu-Third does not apply' "$work/log"
ok "...and gives the same tree" test "$(tree_of "$work/instead")" = "$(tree_of "$work/am")"
ok "import again keeps to it" installed
ok "...without looking further" nowhere taking "$work/log"
sed -i '/^list/s/.*/list) echo 9-1 new ;;/' "$work/tools/series/served"
rm -rf "$work/instead"
installed >/dev/null
ok "an error where Debian serves none that it fits" grep -q 'fits no kernel source that Debian serves: set KSRC=' "$work/log"

# Selection of the steps to build, with stand-ins for the compiler and the machine.
mkdir -p "$work/tools/testing/vm"
for stub in build-kernel run; do
	printf '#!/bin/sh\n' >"$work/tools/testing/vm/$stub"
	chmod +x "$work/tools/testing/vm/$stub"
done
git -C "$work/repo" add -A
git -C "$work/repo" commit -q -m series
built() { # TREE [SINCE]: titles of the steps that are built
	"$work/tools/series/steps" "$work/repo" "$1" "$work/steps" "${@:2}" | sed -n 's/^ok [0-9]* - \(.*\) # [0-9]* s$/\1/p'
}
ok "each step that changes a kernel is built" test "$(built "$work/tree" | paste -sd:)" = \
	"iommu: Add the first thing, naïvely:iommu: Third:iommu: Fourth"
ok "none is built twice" test -z "$(built "$work/tree" HEAD)"
cp -r "$work/tree" "$work/rebased"
(
	cd "$work/rebased" || exit
	steps=$(git rev-parse HEAD)
	git checkout -q --detach base
	git cherry-pick "base..$steps~3" >/dev/null
	echo 'int more;' >>drivers/iommu/new/first.c
	git commit -qa --amend --no-edit
	git cherry-pick "$steps~3..$steps" >/dev/null
)
ok "a step is built again when it has changed, not when one before it has" test "$(built "$work/rebased" HEAD)" = \
	"iommu: Add the first thing, naïvely"
ok "no step is begun when the time is over" test -z "$(STEPS_MINUTES=0 built "$work/rebased")"

# The real series, on the files that it touches: on all files of a kernel git takes minutes.
if [ -n "${REAL_TREE:-}" ]; then
	mkdir "$work"/real "$work"/real-base
	git -C "$repo_top" ls-files -z | (cd "$repo_top" && xargs -0 tar -c) | tar -C "$work/real" -x
	git -C "$work/real" init -q
	git -C "$work/real" add -f .
	cp -r "$work/real" "$work/real-before"
	{ echo Makefile; git -C "$REAL_TREE" diff --name-only --no-renames --diff-filter=a base HEAD; } |
		xargs git -C "$REAL_TREE" archive base -- | tar -C "$work/real-base" -x
	real=$work/real-tree
	ok "the real series: import" "$here/import" "$work/real" "$real" "$work/real-base"
	git -C "$REAL_TREE" diff --raw --no-renames --no-abbrev base HEAD >"$work/real-raw"
	ok "the real series: import changes the same as in the whole kernel" \
		cmp "$work/real-raw" <(git -C "$real" diff --raw --no-renames --no-abbrev base HEAD)
	ok "the real series: export" "$here/export" "$real" "$work/real"
	ok "the real series: import, then export: identity" same_files "$work/real" "$work/real-before"
	ok "the real series: mail" "$here/mail" "$work/real" "$real" "$work/real-mails"
	ok "the real series: mail of the local part" "$here/mail" "$work/real" "$real" "$work/real-local" local
	rm -f "$work"/real-{mails,local}/0000-*.patch
	git clone -q "$real" "$work/real-am"
	git -C "$work/real-am" reset -q --hard base
	ok "the real series: git am takes it on the plain kernel" git -C "$work/real-am" am -q \
		"$work"/real-mails/*.patch "$work"/real-local/*.patch
	ok "the real series: git am gives the same tree" test "$(tree_of "$work/real-am")" = "$(tree_of "$real")"
	while read -r part; do
		[ "$part" = - ] || ok "the real series: the part $part has a cover letter" test -s "$work/real/patches/cover-letter.$part"
	done < <(sed -n 's/^# part //p' "$work/real/patches/series")
fi
echo "1..$number"
