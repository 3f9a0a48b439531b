// SPDX-License-Identifier: GPL-2.0
/*
 * mmio_race DISK OTHER SECONDS
 *
 * Count the register accesses that QEMU loses while another CPU enables and disables a device's memory. DISK and OTHER
 * are PCI addresses. DISK has an MSI-X table at 0x2000 of BAR 0 (QEMU's nvme) and no driver. No driver of the guest's
 * kernel takes part.
 *
 *   aarch64-linux-gnu-gcc -static -O2 -o mmio_race tools/testing/vm/mmio_race.c
 *   tools/testing/vm/run --add mmio_race -- sh -c 'cd /sys/bus/pci/devices
 *     echo 0000:00:03.0 >0000:00:03.0/driver/unbind; mmio_race 0000:00:03.0 0000:00:01.0 15'
 *
 * With QEMU 10.0.2 of Debian (1:10.0.2+ds-2+deb13u1~bpo12+1) and Debian's own kernel 6.12.118, 70 of 6 million
 * accesses went astray in 20 s. The emulator's trace shows them at the same offset of another region: "nvme" instead
 * of "msix-table". The cause is the patch system-physmem-fix-use-after-free-with-dispatch of that package: it drops the
 * map that a CPU's TLB refers to. 10.0.13 has the patch, too. With QEMU 11.1.3 none of 2.5 million went astray.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* An unused entry of the MSI-X table, in 32-bit words */
#define ENTRY (0x2000 / 4 + 5 * 4)

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(2, "processor %d", cpu);
}

static int open_file(const char *device, const char *name)
{
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", device, name);
	fd = open(path, O_RDWR | O_SYNC);
	if (fd < 0)
		err(2, "%s", path);
	return fd;
}

static void enable(const char *device)
{
	if (write(open_file(device, "enable"), "1", 1) != 1)
		err(2, "enable %s", device);
}

static void change_the_map(const char *device)
{
	const uint16_t on = 6, off = 4;
	int config;

	run_on(1);
	config = open_file(device, "config");
	for (;;)
		if (pwrite(config, &off, 2, 4) != 2 || pwrite(config, &on, 2, 4) != 2)
			err(2, "command register of %s", device);
}

int main(int argc, char **argv)
{
	unsigned long rounds = 0, lost = 0;
	volatile uint32_t *entry;
	uint32_t value = 1;
	time_t end;
	pid_t child;
	void *bar;
	int i;

	if (argc != 4)
		errx(2, "usage: mmio_race DISK OTHER SECONDS");
	enable(argv[1]);
	enable(argv[2]);
	child = fork();
	if (!child)
		change_the_map(argv[2]);
	run_on(0);
	bar = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, open_file(argv[1], "resource0"), 0);
	if (bar == MAP_FAILED)
		err(2, "BAR 0 of %s", argv[1]);
	entry = (uint32_t *)bar + ENTRY;
	for (end = time(NULL) + atoi(argv[3]); time(NULL) < end; rounds++) {
		value = value * 1664525 + 1013904223;
		/* Address and data; the entry stays masked */
		for (i = 0; i < 3; i++)
			entry[i] = value ^ i;
		for (i = 0; i < 3; i++) {
			uint32_t got = entry[i];

			if (got == (value ^ i))
				continue;
			if (lost++ < 10)
				printf("word %d: wrote %08x, read %08x, again %08x\n", i, value ^ i, got, entry[i]);
		}
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("%lu writes, %lu not as written\n", rounds * 3, lost);
	return lost > 0;
}
