#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# vm.t KERNEL
#
# TAP: the harness detects failures, in the test VM with the kernel of the build folder KERNEL, and in made-up results.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kernel=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tools/testing/vm/ok.sh
. "$here/ok.sh"
# shellcheck source=tools/testing/vm/arch.sh
. "$here/arch.sh"
compiler=$(set_arch && echo "${CROSS_COMPILE}gcc")
# A failure under load may not happen twice.
why_not_ok() { cat "$work/errors" >>"$work/said"; why_on_stderr_too; }

# Run a program in the VM. The results are $status, $work/output and $work/errors.
vm() {
	status=0
	"$here/run" --kernel "$kernel" --log "$work/vm" "$@" >"$work/output" 2>"$work/errors" || status=$?
}
status_is() { [ "$status" -eq "$1" ]; }
says() { grep -F -e "$1" "$work/errors"; }

vm -- sh -c 'echo out; exit 3'
ok "the status of a program comes back" status_is 3
ok "its output comes back, and nothing else" test "$(cat "$work/output")" = out
ok "the emulator's trace stays: a test may fail by a lost interrupt" test -s "$work/vm/trace"
vm -- sh -c 'head -c 100000 /bin/busybox'
ok "binary output comes back whole" cmp "$work/output" <(head -c 100000 "${O:?}/vm/arm64/busybox/bin/busybox")
vm --timeout 20 -- sleep 1000
ok "a hang fails" status_is 99
ok "...says so" says 'the VM hung: it was still there after 20 s: FAILED'
ok "...and shows the console" says 'Run /init as init process'
ok "...names the emulator's trace" says "trace of interrupt messages: $work/vm/trace"
# The trace has writes to an MSI-X table, commands to the ITS, and messages.
traced() { grep -q "$1" "$work/vm/trace"; }
ok "...which has the writes to MSI-X tables" traced "memory_region_ops_write.*'msix-table'"
ok "...and no other registers" test "$(grep memory_region "$work/vm/trace" | grep -vc msix-table)" = 0
ok "...the commands to the ITS" traced gicv3_its_cmd_mapti
ok "...the disk's interrupts" traced pci_nvme_irq_msix
ok "...and the messages that arrive" traced gicv3_its_translation_write
# In this emulator the probe of another device would endanger the disk's registers: see pcie_ports= in run.
maps_after_disk() { sed '1,/pci_update_mappings_add nvme/d' "$work/vm/trace" | grep -E 'pci_update_mappings|pci_cfg_write .* @0x4 '; }
only_disk() { ! maps_after_disk | grep -v ' nvme '; }
ok "...and the disk's place in the memory map" traced 'pci_update_mappings_add nvme'
ok "no other device is turned on while the disk is probed" only_disk
# The shell in the VM expands these variables.
# shellcheck disable=SC2016
vm -- sh -c 'sleep 2; cd /sys/bus/pci/drivers/nvme; disk=$(ls -d 0*); echo $disk >unbind; echo $disk >bind; sleep 1'
only_at_boot() {
	awk '/pci_nvme_create_cq/ { n++ }
	     n > 2 && /memory_region_ops_write/ { late = 1 }
	     END { exit n != 4 || late }' "$work/vm/trace"
}
ok "the trace leaves a program's writes to registers out" only_at_boot
vm -- sh -c 'echo c >/proc/sysrq-trigger'
ok "a crash fails" status_is 99
ok "...and shows the console" says 'sysrq triggered crash'
vm -- sh -c 'echo "<4>WARNING: CPU: 0 at made/up.c:1" >/dev/kmsg'
ok "a splat fails, even after a program that succeeds" status_is 99
ok "...and is named" says 'WARNING: CPU: 0 at made/up.c:1: FAILED'
vm -- poweroff -f
ok "a lost status fails" status_is 99
vm -- no-such-program
ok "a program that is not there fails" status_is 127
# The shell in the VM expands these variables.
# shellcheck disable=SC2016
for machine in dt acpi plain; do
	vm --machine $machine --stage 2 -- sh -c 'echo $SMMUV3_MACHINE $SMMUV3_STAGE'
	ok "a program can read that the machine is $machine, stage 2" test "$(cat "$work/output")" = "$machine 2"
done
vm --machine acpi -- sh -c 'tail -c +10 /sys/firmware/acpi/tables/IORT | head -c 1; dmesg | grep "Table Upgrade: override .IORT"'
ok "the patched IORT is the one in use" grep -q override "$work/output"
mkdir -p "$work/no-acpi/arch/arm64/boot"
touch "$work/no-acpi/arch/arm64/boot/Image"
echo "# CONFIG_ACPI is not set" >"$work/no-acpi/.config"
vm --kernel "$work/no-acpi" --machine acpi -- true
ok "a kernel without ACPI there: says so" says "the kernel in $work/no-acpi has no ACPI"
vm -- bind_vfio 0000:00:01.0 0000:00:02.0
ok "the edu devices bind to vfio-pci" status_is 0
# The kernel prints its command line, which looks like an event before /init. The machine continues, as after a real
# one.
vm --append 'said="event 0x10 received:"' -- true
ok "an SMMU event before /init fails" status_is 99
ok "...says so" says 'the SMMU had an event before /init, console line'
ok "...and names the trace" says "trace of interrupt messages: $work/vm/trace"
vm --stage 3 -- true
ok "a wrong option fails before anything runs" status_is 98

# The readers of results.
ok "the program that shows the lost accesses compiles" "$compiler" -static -O2 -Wall -Werror -o "$work/mmio_race" \
	"$here/mmio_race.c"
mkdir "$work/wfit"
cp "$here/wfit_sleep.c" "$work/wfit"
echo 'obj-m := wfit_sleep.o' >"$work/wfit/Makefile"
ok "the module that shows the lost timeout compiles" make -s -C "$kernel" M="$work/wfit" ARCH=arm64 \
	CROSS_COMPILE="${compiler%gcc}" W=1 wfit_sleep.o
ok "a short trace is kept whole" test "$(seq 5 | "$here/keep_trace" 3 | paste -sd' ')" = "1 2 3 4 5"
ok "of a long one the first and last lines" test \
	"$(seq 9 | "$here/keep_trace" 3 | paste -sd' ')" = "1 2 3 # keep_trace: 3 lines left out 7 8 9"
tap() { rm -f "$work/counts"; "$here/tap" "$work/counts" "$@" >"$work/output" 2>&1; }
counted() { [ "$(cat "$work/counts")" = "$1" ]; }
tap 'a=echo 1..2; echo ok 1; echo not ok 2'
ok "a failed test counts" counted "1 1"
tap 'a=echo 1..1; echo ok 1; exit 3'
ok "a bad status counts" counted "1 1"
tap 'a=true'
ok "no tests at all counts" counted "0 1"
tap 'a=echo 1..3; echo ok 1'
ok "tests that did not run count" counted "1 1"
rm -f "$work/third"
waits="for _ in {1..100}; do [ ! -e $work/third ] || break; sleep 0.1; done; [ -e $work/third ] && echo ok 1"
JOBS=2 tap "a=echo 1..1; echo a >&2; $waits" 'b=echo 1..1; echo b >&2; echo ok 1' "c=echo 1..1; touch $work/third; echo ok 1"
ok "a command's stderr holds up no other command" counted "3 0"
tap 'a=echo 1..1; echo ok 1' 'b=echo 1..0 "#" SKIP not here'
ok "skipping does not count" counted "1 0"
printf 'ok 1 a\nok 2 b\n1..2\n' >"$work/before"
printf 'ok 1 b\nok 2 c\n1..2\n' >"$work/after"
"$here/compare" "$work/before" "$work/after" >"$work/output" 2>"$work/errors"
ok "a test that passed before and is gone is named" grep -q '^# no longer: a$' "$work/output"
ok "...and fails" grep -q '^not ok 2' "$work/output"
"$here/step" -t "$work/log" title false >"$work/output" 2>"$work/errors"
ok "a step that fails is a failed test" grep -q '^not ok 1 - title' "$work/output"
echo "1..$number"
