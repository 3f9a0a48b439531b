# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# Definitions for vmm_host and vmm_guest.
# shellcheck disable=SC2034 # vmm_host and vmm_guest use these
work=/tmp
# shellcheck source=tools/testing/vm/ok.sh
. /tests/ok.sh

# The wire between the two network cards.
host_ip=10.0.0.1
guest_ip=10.0.0.2
sum_port=9

# Print the PCI addresses of the devices whose sysfs FILE has VALUE.
pci() { grep -lx "$2" /sys/bus/pci/devices/*/"$1" | cut -d/ -f6; }

net_up() { # BDF ADDRESS: the card's name comes with its driver, the link later
	card=$(ls "/sys/bus/pci/devices/$1/net") && ifconfig "$card" "$2" up || return 1
	for _ in $(seq 100); do
		[ "$(cat "/sys/class/net/$card/carrier")" = 0 ] || return 0
		usleep 200000
	done
	return 1
}
