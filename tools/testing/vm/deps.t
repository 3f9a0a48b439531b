#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016 # the made-up commands expand when they run
# TAP: test deps and its helpers on made-up machines, by made-up commands first in PATH.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tools/testing/vm/ok.sh
. "$here/ok.sh"
why_not_ok() { echo "status $status, output: $output; calls: $(cat "$work/calls")"; }

# A machine: Debian NAME with a QEMU version, user id, installed or missing packages, and free disk in KB.
machine() {
	rm -rf "${work:?}/bin"
	mkdir "$work/bin"
	echo "VERSION_CODENAME=bookworm" >"$work/os-release"
	fake id 'echo 0'
	fake df 'echo Avail; echo 90000000'
	fake dpkg-query 'echo installed'
	fake dpkg 'echo amd64'
	fake uname 'echo x86_64'
	fake qemu-system-aarch64 'echo "QEMU emulator version 10.0.2 (Debian)"'
	fake qemu-system-x86_64 'echo "QEMU emulator version 10.0.2 (Debian)"'
	fake apt-get 'echo "apt-get $*" >>"$CALLS"'
	fake sudo 'echo "sudo $1" >>"$CALLS"; "$@"'
	: >"$work/calls"
}

fake() { # NAME BODY
	printf '#!/bin/bash\n%s\n' "$2" >"$work/bin/$1"
	chmod +x "$work/bin/$1"
}

# A made-up apt-get: if its arguments contain WORD, it installs version 10 of EMULATOR.
apt_brings() { # EMULATOR WORD
	fake "$1.new" 'echo "QEMU emulator version 10.0.2 (Debian)"'
	fake apt-get 'echo "apt-get $*" >>"$CALLS"
case "$*" in
indextargets*) echo "|http://mirror.test/debian/|bookworm|main" ;;
*'"$2"'*) cp "${0%/*}/'"$1"'.new" "${0%/*}/'"$1"'" ;;
esac'
}

# PATH holds only the made-up commands and those that the scripts need.
tools() {
	local tool
	for tool in bash env dirname tail sed mktemp rm du cut cat sort mkdir cmp mv touch cp chmod grep awk find; do
		[ -e "$work/bin/$tool" ] || ln -s "$(command -v $tool)" "$work/bin/$tool"
	done
}
run() { # SET ...
	tools
	status=0
	output=$(PATH=$work/bin CALLS=$work/calls OS_RELEASE=$work/os-release "$here/deps" "$work/build" "$@" 2>&1) || status=$?
}

fails_with() { # TEXT: one line of error that has TEXT
	[ "$status" -eq 1 ] && [ "$(grep -c '^deps: ' <<<"$output")" -eq 1 ] && [[ $output == *"$1"* ]]
}
works() { [ "$status" -eq 0 ]; }
called() { grep -q -- "$1" "$work/calls"; }
nothing_called() { [ ! -s "$work/calls" ]; }

machine
run
ok "nothing is missing: success" works
ok "nothing is missing: apt is left alone" nothing_called

machine
fake dpkg-query '[ "${!#}" = bison ] || echo installed'
run
ok "one package is missing: success" works
ok "one package is missing: it is named" grep -q '^Installing: bison$' <<<"$output"
ok "one package is missing: only it is installed" called 'install bison$'
ok "root needs no sudo" bash -c '! grep -q sudo "$0"' "$work/calls"

machine
fake dpkg-query '[ "${!#}" = bison ] || echo installed'
fake id 'echo 1000'
run
ok "a user goes through sudo" called '^sudo apt-get'

machine
fake dpkg-query '[ "${!#}" = bison ] || echo installed'
fake id 'echo 1000'
rm "$work/bin/sudo"
run
ok "no root and no sudo: says so" fails_with 'not root and no sudo: as root, run apt-get install bison'

machine
fake dpkg-query '[ "${!#}" = bison ] || echo installed'
fake apt-get 'echo "apt-get $*" >>"$CALLS"
case "$*" in
*update) echo "E: could not resolve"; exit 100 ;;
*install*) exit 100 ;;
esac'
run
ok "no network: says so" fails_with 'apt-get could not install bison: see above, and check the network'
ok "...with apt's reason" grep -q '^apt-get update failed, .*: E: could not resolve' <<<"$output"

machine
fake df 'echo Avail; echo 3000000'
run
ok "too little disk: says so" fails_with 'needs 6 GB and has 3'

machine
fake df 'echo Avail; echo 9000000'
run
ok "enough for the demo: success" works
run check
ok "...and too little for the checks: says so" fails_with 'needs 20 GB and has 9'

machine
fake dpkg-query '[ "${!#}" = bison ] || echo installed'
rm "$work/bin/apt-get"
run
ok "not Debian: names the packages to install" fails_with 'these by hand: bison'

machine
echo "VERSION_CODENAME=trixie" >"$work/os-release"
fake qemu-system-aarch64 'echo "QEMU emulator version 7.2.0 (Debian)"'
run
ok "QEMU stays too old: says so" fails_with 'QEMU 7 is too old'
ok "Debian 13 takes QEMU from its own release" called 'install qemu-system-arm$'

machine
echo "VERSION_CODENAME=trixie" >"$work/os-release"
rm "$work/bin/qemu-system-x86_64"
apt_brings qemu-system-x86_64 qemu-system-x86
run x86
ok "one emulator is missing: success" works
ok "one emulator is missing: both are installed" called 'install qemu-system-arm qemu-system-x86$'

machine
fake qemu-system-aarch64 'echo "QEMU emulator version 7.2.0 (Debian)"'
apt_brings qemu-system-aarch64 bookworm-backports
run
ok "Debian 12 takes QEMU from backports: success" works
ok "Debian 12 takes QEMU from backports" called 't bookworm-backports.*install qemu-system-arm$'

# A machine without any packages, and the packages that deps requests there.
bare() {
	machine
	fake dpkg-query ':'
	fake dpkg "echo $1"
	fake uname "echo $2"
	echo "VERSION_CODENAME=trixie" >"$work/os-release"
}
asked() { grep '^apt-get.* install ' "$work/calls" | tr ' ' '\n'; }
asks_for() { # PACKAGE ...
	local p
	for p; do asked | grep -x "$p" || return 1; done
}
asks_not() { ! asked | grep -E "$1"; }

bare amd64 x86_64
run
ok "an x86-64 machine asks for the cross compiler to arm64" asks_for gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc
ok "...and for none to x86-64" asks_not x86-64
ok "...and not for tools of packages or checks" asks_not 'debhelper|mmdebstrap|lintian|sphinx|x86|efi'
run check
ok "the checks ask for their tools" asks_for shellcheck sparse python3-sphinx mmdebstrap qemu-efi-aarch64

bare arm64 aarch64
rm "$work/bin/qemu-system-x86_64"
run
ok "an arm64 machine: success" works
ok "...asks for its own compiler" asks_for gcc libc6-dev
ok "...and for no cross compiler" asks_not 'aarch64-linux-gnu|arm64-cross|x86-64|amd64-cross'
ok "...and not for an emulator of x86-64" asks_not qemu-system-x86

bare arm64 aarch64
run x86
ok "its checks of x86-64 ask for that compiler" asks_for gcc-x86-64-linux-gnu libc6-dev-amd64-cross
ok "...and for none to arm64" asks_not 'aarch64-linux-gnu|arm64-cross'

bare arm64 aarch64
rm "$work/bin/qemu-system-x86_64"
apt_brings qemu-system-x86_64 qemu-system-x86
run x86
ok "...and for the emulator" asks_for qemu-system-x86

bare amd64 x86_64
run deb
ok "packages ask for the tools that make them" asks_for debhelper dpkg-dev kmod rsync
ok "...and not for the tools that test them" asks_not 'mmdebstrap|lintian'

bare amd64 x86_64
run deb check-deb
ok "their test asks for the tools that make and boot a root" asks_for mmdebstrap arch-test qemu-user-static debhelper qemu-efi-aarch64
bare arm64 aarch64
run check-deb
ok "...on arm64, too" asks_for mmdebstrap
ok "...and there without an emulator of arm64" asks_not qemu-user
run no-such-set
ok "a set that is not there: says so" fails_with 'there is no set no-such-set'

# apt-sources on a Debian 12 with separate mirrors for release and security updates.
sources() {
	tools
	status=0
	output=$(PATH=$work/bin OS_RELEASE=$work/os-release "$here/apt-sources" "$@" 2>&1) || status=$?
}
says() { [ "$output" = "$1" ]; }

machine
fake apt-get 'echo "/key|http://one.test/debian/|bookworm|main"
echo "/key|http://one.test/debian/|bookworm|contrib"
echo "|http://two.test/security/|bookworm-security|main"'
sources arm64 trixie-updates
ok "another suite is where the release is" says "deb [arch=arm64 signed-by=/key] http://one.test/debian/ trixie-updates main"
sources amd64 trixie-security
ok "...and a security suite where the machine's is" says "deb [arch=amd64] http://two.test/security/ trixie-security main"
sources amd64
ok "without a suite: all that the machine has" test "$(wc -l <<<"$output")" = 3
fake apt-get 'echo "|http://one.test/debian/|bookworm|main"'
sources amd64 trixie trixie-security
ok "a machine without a security suite: names the missing suite" grep -q '^apt-sources: no mirror for trixie-security: .*no bookworm-security main, add' <<<"$output"
ok "...and fails" test "$status" = 1
fake apt-get ':'
sources amd64 trixie
ok "a machine without package lists: says so" grep -q '^apt-sources: .*has no package source.*apt-get update' <<<"$output"

# apt-private with a mirror that lacks backports, and with one that does not answer.
private() { # SUITE ...
	tools
	status=0
	output=$(PATH=$work/bin CALLS=$work/calls OS_RELEASE=$work/os-release "$here/apt-private" "$work/private" amd64 \
		"$@" -- download bison 2>&1) || status=$?
}
machine
fake apt-get 'echo "apt-get $*" >>"$CALLS"
case "$*" in
*indextargets*) printf "|http://%s.test/debian/|bookworm|main\n" one two ;;
*update)
	! grep -q "one.*bookworm-backports" "${0%/*}/../private/sources.list" || {
		echo "E: The repository '"'http://one.test/debian bookworm-backports Release'"' does not have a Release file."
		exit 100
	} ;;
esac'
private bookworm-backports
ok "backports that a mirror lacks are named" says "apt-private: the mirror has no bookworm-backports, left out"
left() { grep -o 'http.*' "$work/private/sources.list" | paste -sd ,; }
ok "...and the others are used" test "$(left)" = \
	"http://one.test/debian/ bookworm main,http://two.test/debian/ bookworm main,http://two.test/debian/ bookworm-backports main"
ok "...by the command" grep -q '^apt-get .* download bison$' "$work/calls"
: >"$work/calls"
private bookworm-backports
ok "...and named the next time, too" says "apt-private: the mirror has no bookworm-backports, left out"
ok "...without another update" test "$(grep -c 'update$' "$work/calls")" = 0
for reason in 'bookworm Release'"'"' does not have a Release file.' 'bookworm-backports Release'"'"' is not signed.'; do
	rm -rf "$work/private"
	fake apt-get 'case "$*" in
*indextargets*) echo "|http://one.test/debian/|bookworm|main" ;;
*update) echo "E: The repository '"'"'http://one.test/debian '"$reason"'"; exit 100 ;;
esac'
	private bookworm-backports
	ok "${reason/ Release\'/}: fails" grep -q "^apt-private: can't read the package lists" <<<"$output"
done
fake apt-get 'case "$*" in
*indextargets*) echo "|http://one.test/debian/|bookworm|main" ;;
*update) echo "E: Failed to fetch"; exit 100 ;;
esac'
private bookworm-updates
ok "a mirror that does not answer: says so" grep -q "^apt-private: can't read the package lists: check the network" <<<"$output"
ok "...and fails" test "$status" = 1

# The compiler that arch.sh chooses on the same made-up machines.
prefix() { # VARIABLE=VALUE ...
	env -u ARCH -u CROSS_COMPILE "$@" PATH="$work/bin:$PATH" bash -c '. "$0/arch.sh" && set_arch && echo "$ARCH/$CROSS_COMPILE"' "$here"
}
machine
ok "x86-64: arm64 is crossed" test "$(prefix)" = arm64/aarch64-linux-gnu-
ok "x86-64: x86 is native" test "$(prefix ARCH=x86)" = x86/
ok "x86-64: another compiler for arm64" test "$(prefix CROSS_COMPILE=other-)" = arm64/other-
ok "...is none for x86" test "$(prefix ARCH=x86 CROSS_COMPILE=other-)" = x86/
fake uname 'echo aarch64'
ok "arm64: arm64 is native" test "$(prefix)" = arm64/
ok "arm64: x86 is crossed" test "$(prefix ARCH=x86)" = x86/x86_64-linux-gnu-
no_arch() { ! prefix ARCH=riscv; }
ok "another ARCH fails" no_arch
echo "1..$number"
